// SPDX-License-Identifier: MIT

package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/sim"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

// unreadable are documents that somebody else put into the store.
func unreadable() map[string]string {
	return map[string]string{
		store.ComponentKey("x1000c0s0b0n1"):                          `{"doc":`,
		store.ComponentKey("x1000c0s0b1n0"):                          `[1,2,3]`,
		store.SessionKey(bos.SessionKey{Name: "broken"}):             "\xff\xfe\x00",
		store.TemplateKey(bos.TemplateKey{Name: "broken"}):           `"a text"`,
		store.AttemptKey("broken"):                                   `{"nodes":7}`,
		store.TokenKey("broken"):                                     `null null`,
		store.PrefixSessions + "no-separator":                        `{}`,
		store.Root + "what-is-this/" + strings.Repeat("x", 100):      `{}`,
		store.PlanPrefix("nobody") + "not-a-number":                  `{}`,
		store.StatusKey(bos.SessionKey{Name: "x", Tenant: "nobody"}): `{"broken`,
	}
}

func putAll(t *testing.T, s store.Engine, docs map[string]string) {
	t.Helper()
	for key, value := range docs {
		_, err := s.Commit(t.Context(), store.Txn{Ops: []store.Op{{Key: key, Value: []byte(value), Expect: store.AnyRevision}}})
		if err != nil {
			t.Fatalf("put %q: %v", key, err)
		}
	}
}

// Documents that can't be read are reported and skipped, whether they were there
// before the start or come later; everything else goes on.
func TestUnreadableDocuments(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 8, Seed: 1})
	dir := t.TempDir()
	engine, err := etcd.OpenEmbedded(t.Context(), etcd.Embedded{Dir: dir, ThrowAway: true})
	if err != nil {
		t.Fatal(err)
	}
	putAll(t, engine, unreadable())
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, app.Options{Site: site}, func(c *config.Config) { c.DataDir = dir })
	for _, key := range []string{"x1000c0s0b0n1", "x1000c0s0b1n0", "broken"} {
		if !p.log.has("can't be read and is skipped", key) {
			t.Errorf("the log does not name %s", key)
		}
	}
	// The broken component is a node like any other to discovery.
	p.discovered(site)
	p.template(site, "cfg")
	p.session("boot", "boot")
	// The second time they come while everything runs, and break what is there.
	putAll(t, p.Store(), map[string]string{
		store.SessionKey(bos.SessionKey{Name: "late"}): `{{`,
		store.KeyOptions: `not JSON`,
	})
	until(t, "the late ones are noticed", func() bool {
		_, options := p.View().Skipped()[store.KeyOptions]
		_, late := p.View().Skipped()[store.SessionKey(bos.SessionKey{Name: "late"})]
		return options && late
	})
	if got, want := p.View().Options(), bos.DefaultOptions(); got != want {
		t.Errorf("with options that can't be read they are %+v", got)
	}
	p.complete(site, "boot")
	for _, path := range []string{"/sessions", "/sessiontemplates", "/components", "/options"} {
		if answer := p.do(http.MethodGet, path, nil); strings.Contains(string(answer), "broken") {
			t.Errorf("GET %s shows what can't be read: %s", path, answer)
		}
	}
	// A client mends the options by writing them.
	p.do(http.MethodPatch, "/options", map[string]any{"max_boot_wait_time": 78})
	if got := p.View().Options().MaxBootWaitTime; got != 78 {
		t.Errorf("the options can't be mended: max_boot_wait_time is %d", got)
	}
	if !strings.Contains(metricsOf(t, p), "\nbos_store_unreadable_documents ") || len(p.View().Skipped()) == 0 {
		t.Error("the metrics do not count them")
	}
}

func metricsOf(t *testing.T, p *process) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Addr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
