// SPDX-License-Identifier: MIT

// Package tenancy holds tests that tenants who use the same names for all that
// they have stay apart in the whole of BOS: operators, API and services.
package tenancy

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"bos/internal/sim"
	"bos/test/lab"
)

// checks is how many histories are tried unless -rapid.checks says another
// number: each is days of two sites.
const checks = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

const (
	// mine is the tenant that is looked at.
	mine   = "blue"
	theirs = "green"
	// settled is longer than anything that was begun can take.
	settled = 90 * time.Minute
)

// deed is something that somebody does.
type deed struct{ tenant, method, path, body string }

// party is a tenant, or nobody, with nodes of its own.
type party struct {
	name  string
	nodes []string
}

// draw draws something for a party to do to sessions r and s. All parties use
// the same names.
func (p party) draw(t *rapid.T) deed {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	name := pick("name", "r", "s")
	d := deed{tenant: p.name}
	switch pick("what", "create", "create", "create", "apply", "apply", "delete", "delete complete", "save status", "disable") {
	case "create":
		d.method, d.path = "POST", "/sessions"
		d.body = fmt.Sprintf(`{"name":%q,"operation":%q,"template_name":"t","stage":%s,"limit":%q}`,
			name, pick("operation", "boot", "reboot", "shutdown"), pick("stage", "false", "true"), strings.Join(p.some(t), ","))
	case "apply":
		xnames, err := json.Marshal(p.some(t))
		if err != nil {
			t.Fatal(err)
		}
		d.method, d.path, d.body = "POST", "/applystaged", `{"xnames":`+string(xnames)+`}`
	case "delete":
		d.method, d.path = "DELETE", "/sessions/"+name
	case "delete complete":
		d.method, d.path = "DELETE", "/sessions"
	case "save status":
		d.method, d.path = "POST", "/sessions/"+name+"/status"
	case "disable":
		d.method, d.path, d.body = "PATCH", "/components/"+p.some(t)[0], `{"enabled":false,"session":""}`
	}
	return d
}

// some draws nodes of a party's, at least one.
func (p party) some(t *rapid.T) []string {
	return p.nodes[:rapid.IntRange(1, len(p.nodes)).Draw(t, "nodes")]
}

// history is what happens: a deed of mine, and what others do at the same time.
type history struct {
	mine   []deed
	others [][]deed
}

// Whatever others do with sessions of the same names, at the same time, on their
// own nodes: what becomes of a tenant's sessions and nodes is what would become
// of them without. That includes set-up, staged sessions and their start,
// completion, the saved status, the clean-up of old sessions, and deletions.
func TestSessionsOfOneNameStayApart(t *testing.T) {
	site := sim.Config{Nodes: 6, Seed: 3}
	blue, rest := split(t, site)
	parties := []party{{mine, blue}, {theirs, rest}, {"", rest}}
	booted := 0
	rapid.Check(t, func(rt *rapid.T) {
		var h history
		for range rapid.IntRange(1, 4).Draw(rt, "deeds") {
			h.mine = append(h.mine, parties[0].draw(rt))
			var others []deed
			for range rapid.IntRange(1, 3).Draw(rt, "others") {
				others = append(others, rapid.SampledFrom(parties[1:]).Draw(rt, "who").draw(rt))
			}
			h.others = append(h.others, others)
		}
		alone, among := play(t, site, parties, h.mine, nil), play(t, site, parties, h.mine, h.others)
		if diff := cmp.Diff(alone, among); diff != "" {
			rt.Fatalf("%+v\nalone (-) and among others (+): %s", h, diff)
		}
		booted += strings.Count(strings.Join(alone, ""), `"percent_successful":100`)
	})
	if booted == 0 {
		t.Error("no session came to a good end: that compares nothing")
	}
}

// split returns the nodes of the tenant that is looked at, and of the other one.
func split(t *testing.T, cfg sim.Config) (blue, green []string) {
	t.Helper()
	lab.Virtual(t, lab.Config{Site: cfg}, func(l *lab.Lab) {
		l.StartProcess()
		l.Discovered()
		for tenant, nodes := range map[string]*[]string{mine: &blue, theirs: &green} {
			a, err := l.Try(http.MethodGet, "/components", tenant, nil)
			var list []struct{ ID string }
			if err != nil || json.Unmarshal(a.Body, &list) != nil {
				t.Fatalf("%v %s", err, a.Body)
			}
			for _, c := range list {
				*nodes = append(*nodes, c.ID)
			}
		}
	})
	if len(blue) < 2 || len(green) < 2 || slices.ContainsFunc(blue, func(id string) bool { return slices.Contains(green, id) }) {
		t.Fatalf("%v and %v", blue, green)
	}
	return blue, green
}

// play plays a history and returns all that the tenant sees of it: the answer to
// each deed, everything that it can read after each, and after old sessions were
// cleaned up.
func play(t *testing.T, site sim.Config, parties []party, deeds []deed, others [][]deed) (seen []string) {
	t.Helper()
	lab.Virtual(t, lab.Config{Site: site}, func(l *lab.Lab) {
		l.StartProcess()
		l.Discovered()
		l.Options(map[string]any{"cleanup_completed_session_ttl": "8h"})
		images := slices.DeleteFunc(l.Site.Images(), func(i sim.Image) bool { return i.Arch != "x86_64" })
		// Every party has a template t of its own, with an image of its own if there are enough.
		for i, p := range parties {
			image := images[i%len(images)]
			body := map[string]any{"enable_cfs": false, "boot_sets": map[string]any{"compute": lab.BootSet(image, p.nodes, nil)}}
			if a, err := l.Try(http.MethodPut, "/sessiontemplates/t", p.name, body); err != nil || a.Status != http.StatusOK {
				t.Fatalf("%v %s", err, a.Body)
			}
		}
		ask := func(d deed) string {
			var body any
			if d.body != "" {
				body = d.body
			}
			a, err := l.Try(d.method, d.path, d.tenant, body)
			if err != nil || a.Status >= http.StatusInternalServerError {
				t.Fatalf("%+v: %v %d %s", d, err, a.Status, a.Body)
			}
			return fmt.Sprintf("%s %s: %d %s", d.method, d.path, a.Status, timeless(a.Body))
		}
		look := func() {
			for _, path := range []string{"/components", "/components?session=r", "/components?staged_session=s", "/sessions", "/sessions?status=complete", "/sessions/r", "/sessions/s",
				"/sessions/r/status", "/sessions/s/status", "/sessiontemplates"} {
				seen = append(seen, ask(deed{mine, http.MethodGet, path, ""}))
			}
		}
		for i, d := range deeds {
			before := len(others) > 0 && i%2 == 0
			for _, o := range at(others, i) {
				if before {
					ask(o)
				}
			}
			seen = append(seen, ask(d))
			for _, o := range at(others, i) {
				if !before {
					ask(o)
				}
			}
			l.Wait(settled)
			look()
		}
		l.Wait(9 * time.Hour)
		look()
		l.CheckNoViolations(t)
	})
	return seen
}

func at(others [][]deed, i int) []deed {
	if i < len(others) {
		return others[i]
	}
	return nil
}

// times are moments, durations and the tokens of boots, which are random.
var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d|"duration":"[^"]*"|"bss_token":"[^"]+"|bss_referral_token=[-0-9a-f]+`)

// timeless is an answer without what differs each time.
func timeless(body []byte) string { return times.ReplaceAllString(string(body), "…") }
