// SPDX-License-Identifier: MIT

package replay

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bos/internal/app"
	"bos/internal/config"
	"bos/internal/store"
	"bos/internal/store/mem"
	"bos/test/conformance/world"
)

// Site is a stub world and the BOS that runs it.
type Site struct {
	World *world.World
	// To takes requests to BOS, whose address is Base.
	To   Sender
	Base string
	app  *app.App
}

// virtualHost is the name of both in virtual time.
const virtualHost = "127.0.0.1"

// configure says where the services are: all at one address.
func configure(address string, operators ...string) *config.Config {
	c := config.Default()
	base := "http://" + address
	c.HSMURL, c.PCSURL, c.BSSURL, c.CFSURL = base+"/hsm/v2", base, base+"/boot/v1", base+"/v3"
	c.IMSURL, c.TAPMSURL = base+"/v3", base+"/v1alpha3"
	c.S3Protocol, c.S3Gateway, c.S3AccessKey, c.S3SecretKey = "http", address, "k", "s"
	c.Listen, c.Operators = "127.0.0.1:0", operators
	return c
}

// Start starts a world and a BOS with an embedded store, over real HTTP, and
// stops them when the test ends. operators are all, none or some.
func Start(t testing.TB, operators ...string) *Site {
	t.Helper()
	w := world.New(world.Config{})
	t.Cleanup(w.Close)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	c := configure(strings.TrimPrefix(server.URL, "http://"), operators...)
	c.DataDir = t.TempDir()
	a, err := app.Start(t.Context(), c, app.Options{ThrowAway: true})
	if err != nil {
		t.Fatalf("start BOS: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.Background()); err != nil {
			t.Errorf("stop BOS: %v", err)
		}
	})
	w.SetBOS("http://"+a.Addr(), nil)
	return &Site{World: w, To: Wire{Addr: a.Addr()}, Base: "http://" + a.Addr(), app: a}
}

// StartVirtual starts a world and a BOS with all operators and a store in
// memory, in the virtual time of the test's bubble. The test calls stop at its
// end.
func StartVirtual(t testing.TB) (s *Site, stop func()) {
	t.Helper()
	w := world.New(world.Config{})
	c := configure(virtualHost, config.All)
	a, err := app.Start(context.Background(), c, app.Options{
		NoListen: true, Engine: mem.New(), Holder: "bos", Transport: Direct{Handler: w, Host: virtualHost},
	})
	if err != nil {
		t.Fatalf("start BOS: %v", err)
	}
	to := Direct{Handler: a.Handler(), Host: virtualHost}
	base := "http://" + virtualHost
	w.SetBOS(base, &http.Client{Transport: to})
	return &Site{World: w, To: to, Base: base, app: a}, func() {
		w.Close()
		if err := a.Stop(context.Background()); err != nil {
			t.Errorf("stop BOS: %v", err)
		}
	}
}

// Empty deletes every document but that which says what the store is.
func (s *Site) Empty(ctx context.Context) error {
	st := s.app.Store()
	kvs, _, err := st.List(ctx, store.Root)
	if err != nil {
		return fmt.Errorf("empty the store: %w", err)
	}
	var ops []store.Op
	for _, kv := range kvs {
		if kv.Key != store.KeySchema && kv.Key != store.KeyClock && !strings.HasPrefix(kv.Key, store.PrefixLeaders) {
			ops = append(ops, store.Op{Key: kv.Key, Delete: true, Expect: store.AnyRevision})
		}
	}
	for len(ops) > 0 {
		n := min(len(ops), store.MaxOps)
		if _, err := st.Commit(ctx, store.Txn{Ops: ops[:n]}); err != nil {
			return fmt.Errorf("empty the store: %w", err)
		}
		ops = ops[n:]
	}
	return nil
}
