// SPDX-License-Identifier: MIT

package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"bos/internal/sim"
	"bos/internal/web"
)

// discovered waits until BOS knows all nodes.
func (s *service) discovered() []string {
	s.t.Helper()
	nodes := s.Site().Nodes()
	s.until("all nodes known", func() bool { return len(s.View().Records(nodes)) == len(nodes) })
	return nodes
}

func TestPagesShowWhatTheAPISays(t *testing.T) {
	s := start(t, 8, nil)
	nodes := s.discovered()
	s.putTemplate("compute")
	s.get("/ui/").wants(200, "<h1>Fleet</h1>", `data-map="fleet.json"`, `<th scope="row">x1000</th><td>8</td><td>8</td>`)
	s.get("/ui/templates").wants(200, "Compute &lt;nodes&gt;", `href="./templates/compute"`, `hx-get="./templates/compute/valid?part=validity"`)
	s.get("/ui/templates/compute").wants(200, "compute-25.11", "Show the plan").lacks("sesame")
	s.get("/ui/templates/compute/valid?part=validity").wants(200, "Valid").lacks("<html")
	s.get("/ui/nodes/"+nodes[0]).wants(200, "<h1>"+nodes[0]+"</h1>", "stable", "BOS leaves it alone")
	s.get("/ui/find?node=X01000c0s0b0n0").leads(303, "./nodes/x1000c0s0b0n0")
	s.get("/ui/find?node=x9").leads(303, "./?missing=x9")
	s.get("/ui/?missing=x9").wants(200, "There is no node x9.")

	var fleet struct {
		Total  int
		Layout string
	}
	answer := s.get("/ui/fleet.json").wants(200)
	if err := json.Unmarshal([]byte(answer.body), &fleet); err != nil || fleet.Total < 8 {
		t.Errorf("%+v, %v", fleet, err)
	}
	s.get("/ui/fleet.json?layout=" + fleet.Layout).wants(200).lacks(`"ids"`)
	s.get("/ui/fleet.json", "If-None-Match", answer.Header.Get("Etag")).wants(304)
}

func TestSessionFromTheForm(t *testing.T) {
	s := start(t, 8, nil)
	nodes := s.discovered()
	s.putTemplate("compute")
	if err := s.Site().Inject(nodes[0], sim.Fault{Kind: sim.FaultNeverReports}); err != nil {
		t.Fatal(err)
	}
	order := url.Values{"operation": {"boot"}, "limit": {nodes[0] + "," + nodes[1]}, "name": {"first"}}
	plan := s.do("POST", "/ui/templates/compute/plan", order).wants(200,
		"Plan: boot 2 nodes", "Boot 2 nodes in 1 cabinet", "power on", "not in limit", `name="name" value="first"`).lacks("sesame")
	s.do("POST", "/ui/templates/compute/plan", url.Values{"operation": {"shutdown"}, "stage": {"yes"}}).wants(200,
		"Stage the shutdown of 8 nodes", `name="name" value="shutdown-`, `name="stage" value="yes"`)
	s.do("POST", "/ui/templates/compute/plan", url.Values{"operation": {"boot"}, "limit": {"!" + strings.Join(nodes, ",!")}}).wants(200, "disabled", "No node is in it")
	if s.do("POST", "/ui/templates/compute/plan", order); strings.Contains(s.api("GET", "/v2/sessions", nil).body, "first") || plan.StatusCode != 200 {
		t.Error("a plan made a session")
	}
	s.do("POST", "/ui/templates/compute/sessions", order).leads(303, "./../../sessions/first")
	// Who sends the same form twice makes one session; another one of that name is refused.
	s.do("POST", "/ui/templates/compute/sessions", order).leads(303, "./../../sessions/first")
	order.Set("limit", nodes[2])
	s.do("POST", "/ui/templates/compute/sessions", order).wants(409, "Session &#39;first&#39; already exists", `value="`+nodes[2]+`"`)
	order.Set("name", "second")
	order.Set("operation", "dance")
	s.do("POST", "/ui/templates/compute/sessions", order).wants(400, "operation", `role="alert"`)
	s.do("POST", "/ui/templates/none/sessions", order).wants(404, "does not exist")
	s.get("/ui/sessions").wants(200, `href="./sessions/first"`)
	s.until("one node booted", func() bool {
		return strings.Contains(s.get("/ui/sessions/first?part=progress").body, "1 of 2")
	})
	s.get("/ui/sessions/first?part=progress").wants(200, "data-announce=", "1 of 2", "Slowest", `href="./../nodes/`+nodes[0]+`"`).lacks("<html")
	s.until("the node fetched its boot script", func() bool {
		return strings.Contains(s.get("/ui/nodes/"+nodes[0]).body, "gave it its boot script")
	})
	s.get("/ui/nodes/"+nodes[0]).wants(200, "Whose turn", "What would unstick it", `href="./../sessions/first"`,
		"fetched its boot script", "it reaches the network and bss")
	s.get("/ui/sessions?part=active").wants(200, "first", `<progress max="2" value="1"`, "1 of 2").lacks("<html", "over")
	s.steer(nodes[0])
	s.get("/ui/sessions/none").wants(404, "Session &#39;none&#39; does not exist")
	s.get("/ui/sessions?age=2d").wants(400)
}

// steer pauses, resumes and cancels a session that waits for a node.
func (s *service) steer(waited string) {
	s.t.Helper()
	s.get("/ui/sessions/first?part=actions").wants(200, "Pause", "Cancel the session").lacks("Resume")
	s.do("POST", "/ui/sessions/first/pause", url.Values{}).leads(303, "./../../sessions/first")
	s.get("/ui/sessions/first").wants(200, "paused", "Resume").lacks(">Pause<")
	s.do("POST", "/ui/sessions/first/resume", url.Values{}).leads(303, "./../../sessions/first")
	s.do("POST", "/ui/sessions/first/explode", url.Values{}).wants(404)
	s.do("POST", "/ui/sessions/first/cancel", url.Values{}).leads(303, "./../../sessions/first")
	s.get("/ui/sessions/first").wants(200, "cancelled").lacks("Cancel the session")
	s.get("/ui/nodes/"+waited).wants(200, "was cancelled while booting; it may still come up", "took the command On")
	s.until("the node's timeline says that its session was cancelled", func() bool {
		return strings.Contains(s.get("/ui/nodes/"+waited+"?part=timeline").body, "are left as they are: the session was cancelled")
	})
	s.do("POST", "/ui/sessions/first/pause", url.Values{}).wants(409, `role="alert"`)
	s.get("/ui/sessions?part=over").wants(200, "cancelled", "first")
}

// All that a page needs comes from the service itself, by relative links, and
// the browser is told to take nothing else.
func TestNothingFromElsewhere(t *testing.T) {
	s := start(t, 4, nil)
	nodes := s.discovered()
	s.putTemplate("compute")
	s.api("POST", "/v2/sessions", map[string]any{"operation": "boot", "template_name": "compute", "name": "one"}).wants(201)
	link := regexp.MustCompile(`(?:href|src|action|hx-get|data-map|data-events)="([^"]*)"`)
	for _, prefix := range []string{"", "/apis/bos", "//apis/bos"} {
		for _, page := range []string{"/", "/sessions", "/sessions/one", "/templates", "/templates/compute", "/nodes/" + nodes[0], "/nope", "/t/blue/nope"} {
			got := s.get(prefix + "/ui" + page)
			policy := got.Header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v", page, got.Header)
			}
			got.lacks("<style", " style=", " onclick=", "http:", "https:", "javascript:")
			for _, at := range strings.Split(got.body, "<script")[1:] {
				if !strings.HasPrefix(at, " defer src=") {
					t.Errorf("%s has an inline script: %.60s", page, at)
				}
			}
			for _, found := range link.FindAllStringSubmatch(got.body, -1) {
				if to := found[1]; !strings.HasPrefix(to, "./") && !strings.HasPrefix(to, "#") && to != "fleet.json" {
					t.Errorf("%s leads to %s", page, to)
				}
			}
		}
	}
	// Each link leads somewhere, from wherever it stands.
	seen := map[string]bool{}
	var follow func(at string)
	follow = func(at string) {
		base, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?:href|src|hx-get|data-map)="([^"#]+)"`).FindAllStringSubmatch(s.get(at).body, -1) {
			to, err := base.Parse(strings.ReplaceAll(found[1], "&amp;", "&"))
			if err != nil {
				t.Fatal(err)
			}
			if next := to.RequestURI(); !seen[next] {
				seen[next] = true
				s.get(next).wants(200)
				if !strings.Contains(next, "part=") && !strings.Contains(next, "static") && !strings.Contains(next, ".json") {
					follow(next)
				}
			}
		}
	}
	follow("/apis/bos/ui/")
	if len(seen) < 15 {
		t.Errorf("only %d links were found: %v", len(seen), seen)
	}
}

func TestPaths(t *testing.T) {
	s := start(t, 4, nil)
	s.get("/ui").leads(308, "ui/")
	s.get("/apis/bos/ui").leads(308, "ui/")
	s.get("/ui/t/blue").leads(308, "blue/")
	for _, path := range []string{"/ui/t/", "/ui/t//", "/ui//sessions", "/ui/../v2", "/ui/sessions/", "/ui/x/y/z", "/ui/static/none", "/ui/t/a%2Fb/", "/ui/sessions/a%2Fb"} {
		s.get(path).wants(404)
	}
	s.do("PUT", "/ui/sessions", nil).wants(405)
	// Everything else is the API's.
	s.get("/uix").wants(404, `"title":"Not Found"`)
	s.get("/v2/version").wants(200, `"major":"2"`)
	asset := regexp.MustCompile(`static/app\.css\?v=[^"]+`).FindString(s.get("/ui/").body)
	if got := s.get("/ui/"+asset).wants(200, "--back"); !strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
		t.Error(got.Header)
	}
	if got := s.get("/ui/static/app.css").wants(200); got.Header.Get("Cache-Control") != "no-cache" {
		t.Error(got.Header)
	}
}

// What another site's page makes a browser send is refused.
func TestOtherSitesAreRefused(t *testing.T) {
	s := start(t, 4, nil)
	s.putTemplate("compute")
	form := url.Values{"operation": {"boot"}, "name": {"forged"}}
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "http://evil.example"},
		{"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		for _, path := range []string{"/ui/templates/compute/sessions", "/ui/templates/compute/plan", "/ui/sessions/x/cancel", "/ui/login", "/ui/logout"} {
			s.do("POST", path, form, header...).wants(403, "another site")
		}
	}
	s.api("GET", "/v2/sessions/forged", nil).wants(404)
}

func TestConfig(t *testing.T) {
	if _, err := web.New(web.Config{}); err == nil {
		t.Error("pages without an API")
	}
	// An API that answers nothing, breaks off or is no JSON breaks a page, not the service.
	for name, answer := range map[string]http.HandlerFunc{
		"panic":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"cut short": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"total":`)); panic("x") },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"text":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) },
	} {
		pages, err := web.New(web.Config{API: answer})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/ui/", "/ui/sessions", "/ui/templates", "/ui/nodes/x"} {
			got := serveOne(t, pages, path)
			if got.StatusCode != 500 || !strings.Contains(got.body, "could not be made") {
				t.Errorf("%s, %s: %d %.200s", name, path, got.StatusCode, got.body)
			}
		}
	}
	// One that is busy for a moment is asked again.
	var asked int
	busy, err := web.New(web.Config{API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(503)
			return
		}
		_, _ = w.Write([]byte(`{"total":0}`))
	})})
	if err != nil {
		t.Fatal(err)
	}
	if got := serveOne(t, busy, "/ui/"); got.StatusCode != 200 || asked != 2 {
		t.Errorf("%d after %d tries", got.StatusCode, asked)
	}
	refusing, err := web.New(web.Config{API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(503)
		_, _ = w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"store: it is away"}`))
	})})
	if err != nil {
		t.Fatal(err)
	}
	if got := serveOne(t, refusing, "/ui/"); got.StatusCode != 503 || got.Header.Get("Refresh") == "" || !strings.Contains(got.body, "store: it is away") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}
