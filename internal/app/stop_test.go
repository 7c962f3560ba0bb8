// SPDX-License-Identifier: MIT

package app_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/sim"
)

// An app that is stopped while a session is under way ends soon, leaves nothing
// behind and loses no write that it acknowledged; the next one on the same data
// carries on.
func TestStopAndRestart(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 32, Seed: 1})
	dir := t.TempDir()
	at := func(c *config.Config) { c.DataDir = dir }
	first := start(t, app.Options{Site: site}, at)
	first.discovered(site)
	first.template(site, "cfg")
	first.session("boot", "boot")
	until(t, "nodes are powering on", func() bool { return len(first.View().InStatus(bos.StatusPowerOnCalled)) > 0 })

	// Clients write all the while, until nobody answers any more.
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	begun := make(chan struct{}, 4)
	var writers sync.WaitGroup
	for w := range cap(begun) {
		writers.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("w%d-%d", w, n)
				doc := map[string]any{"description": name, "boot_sets": map[string]any{"one": map[string]any{
					"type": "s3", "path": "s3://boot-images/x/manifest.json", "node_list": []string{"x1"},
				}}}
				status, _, err := first.try(http.MethodPut, "/sessiontemplates/"+name, "", doc)
				if err != nil {
					return
				}
				if status == http.StatusOK {
					mu.Lock()
					acknowledged[name] = true
					mu.Unlock()
				}
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	first.stop()
	writers.Wait()

	second := start(t, app.Options{Site: site}, at)
	for name := range acknowledged {
		if _, ok := second.View().Template(bos.TemplateKey{Name: name}); !ok {
			t.Errorf("the template %s was acknowledged and is lost", name)
		}
	}
	second.complete(site, "boot")
	for id, n := range ons(site) {
		if n != 1 {
			t.Errorf("%s was switched on %d times", id, n)
		}
	}
}

// A client that never ends its request does not keep an app from stopping.
func TestStopWithSilentClient(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 1})
	p := start(t, app.Options{Site: site}, func(c *config.Config) { c.DataDir = t.TempDir() })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprint(conn, "PATCH /v2/options HTTP/1.1\r\nHost: bos\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	if err != nil {
		t.Fatal(err)
	}
	// The request must have arrived: another one on a later connection has.
	p.do(http.MethodGet, "/healthz", nil)
	p.stop()
}

// An app that can't start leaves nothing behind either.
func TestStartThatFails(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 1})
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.TimeScale = t.TempDir(), taken.Addr().String(), quick
	if a, err := app.Start(t.Context(), cfg, app.Options{Site: site, ThrowAway: true}); err == nil {
		_ = a.Stop(context.Background())
		t.Fatal("it listens on a port that is taken")
	}
}
