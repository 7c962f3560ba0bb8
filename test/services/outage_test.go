// SPDX-License-Identifier: MIT

package services_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/sim"
	"bos/internal/view"
	"bos/test/lab"
)

// outage is a service that is away for a while.
type outage struct {
	service string
	fault   sim.ServiceFault
}

func outages() []outage {
	var out []outage
	for _, service := range sim.Services() {
		for _, kind := range []sim.ServiceFaultKind{sim.ServiceDown, sim.ServiceHang, sim.ServiceStatus, sim.ServiceGarbage, sim.ServiceSlow} {
			out = append(out, outage{service, sim.ServiceFault{Kind: kind, For: 3 * time.Minute, Delay: 8 * time.Second}})
		}
	}
	return out
}

func (o outage) name() string { return o.service + " " + o.fault.Kind.String() }

// witness sees every state of every node and session.
type witness struct {
	mu       sync.Mutex
	attempts int
	failed   []string
	texts    map[string]bool
	feed     *view.Feed
}

func watch(l *lab.Lab) *witness {
	w := &witness{texts: map[string]bool{}}
	w.feed = l.App().View().Subscribe(view.Interest{Node: func(_, next *view.Node) bool {
		if next == nil {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		c := &next.Record.Component
		w.attempts = max(w.attempts, c.EventStats.Value().PowerOnAttempts.Value())
		w.texts[c.Error.Value()] = true
		if next.Status == bos.StatusFailed {
			w.failed = append(w.failed, c.ID)
		}
		return false
	}})
	return w
}

// saw reports whether any node said that it waits for a service.
func (w *witness) saw(service string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for text := range w.texts {
		if strings.Contains(text, "waiting for "+service+",") {
			return true
		}
	}
	return false
}

// check expects that the outage cost nothing.
func (w *witness) check(t testing.TB, l *lab.Lab, nodes []string) {
	t.Helper()
	w.feed.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failed) > 0 {
		t.Errorf("marked failed: %v", w.failed)
	}
	if w.attempts > 1 {
		t.Errorf("%d attempts", w.attempts)
	}
	succeeded(t, l, nodes)
	for _, id := range nodes {
		if got := l.Operations(id); !slices.Equal(got, []string{"On"}) {
			t.Errorf("%s got %v", id, got)
			break
		}
	}
	l.CheckNoViolations(t)
}

const tenant = "blue"

// template stores what a tenant boots some of its nodes with: a projected image,
// so that every service is needed.
func template(t testing.TB, l *lab.Lab) []string {
	t.Helper()
	a, err := l.Try(http.MethodGet, "/components", tenant, nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("the tenant's components: %d %s %v", a.Status, a.Body, err)
	}
	nodes := slices.DeleteFunc(l.Site.Nodes(), func(id string) bool { return !strings.Contains(string(a.Body), `"`+id+`"`) })
	if len(nodes) == 0 || len(nodes) == len(l.Site.Nodes()) {
		t.Fatalf("the tenant has %d nodes", len(nodes))
	}
	set := lab.BootSet(l.Site.Images()[0], nodes, map[string]any{"rootfs_provider": "sbps"})
	doc := map[string]any{"boot_sets": map[string]any{"compute": set}, "enable_cfs": true, "cfs": map[string]any{"configuration": "c"}}
	if a, err := l.Try(http.MethodPut, "/sessiontemplates/one", tenant, doc); err != nil || a.Status >= http.StatusBadRequest {
		t.Fatalf("put the template: %d %s %v", a.Status, a.Body, err)
	}
	return nodes
}

// create creates the session.
func create(t testing.TB, l *lab.Lab) lab.Answer {
	t.Helper()
	session := map[string]any{"name": "boot", "template_name": "one", "operation": "boot"}
	a, err := l.Try(http.MethodPost, "/sessions", tenant, session)
	if err != nil {
		t.Fatalf("create the session: %v", err)
	}
	return a
}

func state(l *lab.Lab) bos.SessionStatus {
	s, ok := l.App().View().Session(bos.SessionKey{Tenant: tenant, Name: "boot"})
	if !ok {
		return bos.SessionStatus{}
	}
	return s.Session.Status
}

func complete(t testing.TB, l *lab.Lab, within time.Duration) {
	t.Helper()
	l.Until(within, "the session is complete", func() bool { return state(l).Status == bos.SessionComplete })
	if err := state(l).Error; err != nil {
		t.Errorf("the session ended with %q", *err)
	}
}

// askedBySetUp and askedByBoot say for which services sessions, and nodes, wait.
func askedBySetUp(service string) bool {
	return service == "hsm" || service == "s3" || service == "tapms"
}

func askedByBoot(service string) bool { return service != "s3" && service != "tapms" }

// silent reports whether an outage is one that nobody notices.
func (o outage) silent() bool { return o.fault.Kind == sim.ServiceSlow }

// A service that goes away between a session's creation and its set-up, whatever
// it is that it does instead of answering, delays the session, which says what
// it waits for; its return is enough.
func TestOutageBeforeSetUp(t *testing.T) {
	for _, o := range outages() {
		t.Run(o.name(), func(t *testing.T) {
			lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 24}}, func(l *lab.Lab) {
				t := l.T()
				l.StartProcess(decide.RoleDiscovery)
				l.Discovered()
				nodes := template(t, l)
				if a := create(t, l); a.Status != http.StatusCreated {
					t.Fatalf("create the session: %d %s", a.Status, a.Body)
				}
				w := watch(l)
				l.Site.InjectService(o.service, o.fault)
				l.StartProcess()
				if askedBySetUp(o.service) && !o.silent() {
					l.Until(o.fault.For, "the session says what it waits for", func() bool {
						err := state(l).Error
						return err != nil && strings.Contains(*err, "waiting for "+o.service)
					})
				}
				complete(t, l, 40*time.Minute)
				w.checkNamed(t, l, o, askedByBoot(o.service) && o.service != "hsm")
				w.check(t, l, nodes)
			})
		})
	}
}

// checkNamed expects that the log names the service, and the nodes if they had
// to wait for it.
func (w *witness) checkNamed(t testing.TB, l *lab.Lab, o outage, byNodes bool) {
	t.Helper()
	if o.silent() {
		return
	}
	if byNodes && !w.saw(o.service) {
		t.Errorf("no node said that it waited for %s: %v", o.service, w.texts)
	}
	if (askedBySetUp(o.service) || byNodes) && !l.Log.Has("WARN", o.service) {
		t.Errorf("the log says nothing of %s", o.service)
	}
}

// A service that goes away once the nodes are on their way keeps them waiting,
// at no cost; nodes and log name it.
func TestOutageDuringBoot(t *testing.T) {
	for _, o := range outages() {
		if !askedByBoot(o.service) {
			continue
		}
		t.Run(o.name(), func(t *testing.T) {
			lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 24}}, func(l *lab.Lab) {
				t := l.T()
				l.StartProcess(decide.RoleDiscovery, decide.RoleSessionSetup)
				l.Discovered()
				nodes := template(t, l)
				if a := create(t, l); a.Status != http.StatusCreated {
					t.Fatalf("create the session: %d %s", a.Status, a.Body)
				}
				l.Until(time.Minute, "set up", func() bool { return state(l).Status == bos.SessionRunning })
				w := watch(l)
				l.Site.InjectService(o.service, o.fault)
				l.StartProcess(decide.RoleStatus, decide.RolePowerOn, decide.RolePowerOffGraceful, decide.RolePowerOffForceful,
					decide.RoleConfiguration, decide.RoleSessionCompletion)
				begun := time.Now()
				complete(t, l, 40*time.Minute)
				if took := time.Since(begun); took > o.fault.For+8*time.Minute {
					t.Errorf("the boot took %s", took)
				}
				w.checkNamed(t, l, o, true)
				w.check(t, l, nodes)
			})
		})
	}
}

// Over real HTTP, where services refuse and break connections in earnest. Those
// that are asked when a session is created have it refused, by name; a session
// that is created nonetheless waits.
func TestOutageOverHTTP(t *testing.T) {
	kinds := []sim.ServiceFaultKind{sim.ServiceDown, sim.ServiceReset, sim.ServiceStatus, sim.ServiceGarbage}
	for i, service := range sim.Services() {
		o := outage{service, sim.ServiceFault{Kind: kinds[i%len(kinds)]}}
		t.Run(o.name(), func(t *testing.T) {
			l := lab.Real(t, lab.Config{Site: sim.Config{Nodes: 24}})
			l.Discovered()
			nodes := template(t, l)
			w := watch(l)
			l.Site.InjectService(o.service, o.fault)
			a := create(t, l)
			if !askedByBoot(service) {
				if a.Status < http.StatusBadRequest || !strings.Contains(string(a.Body), service+" is not available") {
					t.Errorf("create the session: %d %s", a.Status, a.Body)
				}
				l.Site.InjectService(o.service, sim.ServiceFault{})
				a = create(t, l)
			}
			if a.Status != http.StatusCreated {
				t.Fatalf("create the session: %d %s", a.Status, a.Body)
			}
			if askedByBoot(service) {
				l.Until(20*time.Minute, "somebody says what is waited for", func() bool {
					err := state(l).Error
					return w.saw(service) || err != nil && strings.Contains(*err, "waiting for "+service)
				})
				l.Site.InjectService(o.service, sim.ServiceFault{})
				if !l.Log.Has("WARN", service) {
					t.Errorf("the log says nothing of %s", service)
				}
			}
			complete(t, l, 4*time.Hour)
			w.check(t, l, nodes)
		})
	}
}
