// SPDX-License-Identifier: MIT

package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/sim"
)

// page is an answer with events.
type page struct {
	Events []bos.Event `json:"events"`
	Next   *int64      `json:"next"`
}

func (p *process) events(path string) page {
	p.t.Helper()
	var out page
	if err := json.Unmarshal(p.do(http.MethodGet, path, nil), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// A boot tells its story in sets: few events, whatever the number of nodes, and
// each node's own story is in them. It survives a restart, and holds nothing that
// must not be told.
func TestEventsOfABoot(t *testing.T) {
	noLeak(t)
	const nodes = 200
	site := newSite(t, sim.Config{Nodes: nodes, Seed: 1})
	dir := t.TempDir()
	at := func(c *config.Config) { c.DataDir = dir }
	first := start(t, app.Options{Site: site}, at)
	first.discovered(site)
	first.template(site, "cfg")
	first.session("boot", "boot")
	first.complete(site, "boot")
	var story page
	until(t, "the last event", func() bool {
		story = first.events("/sessions/boot/events")
		return slices.ContainsFunc(story.Events, func(e bos.Event) bool { return e.Type == bos.EventSessionComplete })
	})
	touched := map[bos.EventType]int{}
	for _, e := range story.Events {
		touched[e.Type] += e.Count
		if e.Session != "boot" || e.Revision == 0 || e.Time.IsZero() || e.Text == "" {
			t.Errorf("%+v", e)
		}
	}
	for typ, want := range map[bos.EventType]int{
		bos.EventSetUp: nodes, bos.EventSucceeded: nodes, bos.EventReported: nodes, bos.EventSessionComplete: 0, bos.EventFailed: 0,
	} {
		if touched[typ] != want {
			t.Errorf("%s of %d nodes, want %d", typ, touched[typ], want)
		}
	}
	// On to power-on and to CFS.
	if touched[bos.EventAction] < nodes {
		t.Errorf("commands for %d nodes", touched[bos.EventAction])
	}
	if len(story.Events) > nodes/2 {
		t.Errorf("%d events of a boot of %d nodes", len(story.Events), nodes)
	}

	id := site.Nodes()[7]
	timeline := first.events("/components/" + id + "/timeline")
	var types []bos.EventType
	for _, e := range timeline.Events {
		types = append(types, e.Type)
	}
	for _, typ := range []bos.EventType{bos.EventSetUp, bos.EventPhase, bos.EventAction, bos.EventReported, bos.EventSucceeded} {
		if !slices.Contains(types, typ) {
			t.Errorf("the timeline of %s has no %s: %v", id, typ, types)
		}
	}
	everything, _ := json.Marshal(first.events("/events?limit=10000"))
	rec := first.View().Record(id)
	secrets := []string{rec.Component.DesiredState.Value().BSSToken.Value()}
	secrets = append(secrets, strings.Fields(rec.Component.DesiredArtifacts().KernelParameters.Value())...)
	if len(secrets) < 3 {
		t.Fatalf("there is nothing to look for: %q", secrets)
	}
	for _, secret := range secrets {
		if strings.Contains(string(everything), secret) {
			t.Errorf("events tell %q", secret)
		}
	}
	why := string(first.do(http.MethodGet, "/components/"+id+"/why", nil))
	if !strings.Contains(why, `"turn":"nobody"`) || !strings.Contains(why, "reported what it shall run") {
		t.Errorf("why: %s", why)
	}
	first.stop()

	second := start(t, app.Options{Site: site}, func(c *config.Config) {
		at(c)
		c.EventsMaxBytes = 1 << 20
	})
	again := second.events("/sessions/boot/events")
	if a, b := fmt.Sprint(story.Events), fmt.Sprint(again.Events); a != b {
		t.Errorf("after a restart the story is another one:\n%s\n%s", a, b)
	}
}

// A node that never reports is found: why says so, whose turn it is, and how far
// the node came, by when it fetched its boot script.
func TestWhyOfASilentNode(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 3, Seed: 1})
	p := start(t, app.Options{Site: site}, func(c *config.Config) { c.DataDir = t.TempDir() })
	p.discovered(site)
	p.template(site, "")
	silent, lost := site.Nodes()[0], site.Nodes()[1]
	for id, kind := range map[string]sim.FaultKind{silent: sim.FaultNeverReports, lost: sim.FaultBootsNothing} {
		if err := site.Inject(id, sim.Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	p.session("boot", "boot")
	until(t, "the other node runs", func() bool {
		rec := p.View().Record(site.Nodes()[2])
		return rec.Component.StatusNow() == bos.StatusStable && !rec.Component.Enabled.Value() && rec.Component.Session.Value() == "boot"
	})
	explained := func(id, summary string) (why bos.Why) {
		until(t, id+" "+summary, func() bool {
			if err := json.Unmarshal(p.do(http.MethodGet, "/components/"+id+"/why", nil), &why); err != nil {
				t.Fatal(err)
			}
			return why.Turn == bos.TurnNode && strings.Contains(why.Summary, summary)
		})
		if why.Next == nil || len(why.Unstick) < 3 {
			t.Errorf("%+v", why)
		}
		for _, service := range []string{"pcs", "bss", "node"} {
			if !slices.ContainsFunc(why.Said, func(s bos.Said) bool { return s.Service == service }) {
				t.Errorf("nothing is said by %s: %+v", service, why.Said)
			}
		}
		return why
	}
	says := func(why bos.Why, text string) {
		if !slices.ContainsFunc(why.Said, func(s bos.Said) bool { return s.Service == "bss" && strings.Contains(s.Text, text) }) {
			t.Errorf("bss does not say %q: %+v", text, why.Said)
		}
	}
	says(explained(silent, "fetched its boot script"), "gave it its boot script")
	says(explained(lost, "has not fetched its boot script since then"), "has never given it a boot script")
	// Without BSS the rest is said all the same, and soon.
	for kind, text := range map[sim.ServiceFaultKind]string{
		sim.ServiceDown: "connection refused", sim.ServiceHang: "no answer in time", sim.ServiceGarbage: "its answer can't be understood",
	} {
		site.InjectService("bss", sim.ServiceFault{Kind: kind})
		says(explained(silent, "BSS has its boot script"), text)
	}
	site.InjectService("bss", sim.ServiceFault{})
	says(explained(silent, "fetched its boot script"), "gave it its boot script")
}

// follow opens a stream of a process, from after an id on.
func (p *process) follow(after string) (*bufio.Reader, func()) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.URL()+"/v2/events", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Accept-Encoding", "gzip")
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%v %v", res, err)
	}
	return bufio.NewReader(res.Body), func() { _ = res.Body.Close() }
}

// A boot is followed over a real connection whose times of reading and writing
// are bounded, another process goes on where the first one was, and a process
// that is to stop does not wait for those who follow.
func TestFollowABoot(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 8, Seed: 1})
	store := cluster(t)
	at := func(c *config.Config) {
		c.EtcdEndpoints = []string{store}
		c.ReadTimeout, c.WriteTimeout = time.Second, time.Second
	}
	first, second := start(t, app.Options{Site: site}, at), start(t, app.Options{Site: site}, at)
	first.discovered(site)
	first.template(site, "")
	in, end := first.follow("")
	defer end()
	id, events, statuses := "", 0, map[string]bool{}
	read := func(in *bufio.Reader, enough func(kind, data string) bool) {
		kind := ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch name {
			case "id":
				id = value
			case "event":
				kind = value
			case "data":
				if kind == "event" {
					events++
				}
				if enough(kind, value) {
					return
				}
			}
		}
	}
	read(in, func(kind, _ string) bool { return kind == "fleet" })
	first.session("boot", "boot")
	read(in, func(kind, data string) bool {
		if kind == "session" {
			var doc struct{ Outcome bos.Outcome }
			if err := json.Unmarshal([]byte(data), &doc); err != nil {
				t.Fatal(err)
			}
			statuses[string(doc.Outcome.Status)] = true
		}
		return statuses["complete"]
	})
	if !statuses["running"] || events == 0 {
		t.Errorf("told of %v and %d events", statuses, events)
	}
	other, endOther := second.follow(id)
	defer endOther()
	read(other, func(kind, data string) bool {
		if kind == "reset" {
			t.Errorf("the other process begins anew: %s", data)
		}
		return kind == "fleet"
	})
	second.session("again", "shutdown")
	read(other, func(kind, data string) bool { return kind == "session" && strings.Contains(data, `"name":"again"`) })
	// Longer than a request may take.
	read(in, func(kind, data string) bool {
		return kind == "event" && strings.Contains(data, "the session is complete") && strings.Contains(data, "again")
	})
	first.stop()
	second.stop()
	for _, left := range []*bufio.Reader{in, other} {
		if _, err := io.Copy(io.Discard, left); err != nil {
			t.Errorf("the stream did not end well: %v", err)
		}
	}
}
