// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"sync"
	"time"

	"bos/internal/auth"
)

// A simulated site has nodes without certificates or tokens. Where the API asks
// for either, they report through pipes inside the process, at whose end their
// word is taken for who they are; nobody else can get there.

// reportTimeout is when a node's reporter gives up.
const reportTimeout = 13 * time.Second

// simulatedKey marks the requests of simulated nodes in their context.
type simulatedKey struct{}

// simulatedNodes is an authenticator that knows simulated nodes too.
type simulatedNodes struct{ *auth.Authenticator }

// Identify says who a request is from: of a simulated node's the one that it
// reports for.
func (s simulatedNodes) Identify(r *http.Request) (*auth.Identity, error) {
	if r.Context().Value(simulatedKey{}) == nil {
		return s.Authenticator.Identify(r)
	}
	node := path.Base(r.URL.Path)
	return &auth.Identity{Name: "simulated:" + node, Method: auth.MethodNone, Roles: []auth.Role{auth.RoleNode}, Node: node}, nil
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	ch   chan net.Conn
	once sync.Once
	done chan struct{}
}

// Accept waits for the next connection.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.ch:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr returns no address that means anything.
func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// dial makes a connection.
func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.ch <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serveSite has the nodes of a simulated site report: over the network as real
// ones do, or through pipes where real ones would need to show who they are.
func (a *App) serveSite(run context.Context) {
	if a.guard.access == nil && !a.cfg.TLS() {
		a.site.SetBOS(a.URL(), nil)
		return
	}
	p := &pipes{ch: make(chan net.Conn), done: make(chan struct{})}
	transport := &http.Transport{DialContext: p.dial, MaxIdleConnsPerHost: 64}
	server := &http.Server{
		Handler: a.handler, ReadHeaderTimeout: a.cfg.ReadHeaderTimeout, IdleTimeout: a.cfg.IdleTimeout,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(run, simulatedKey{}, true) },
	}
	a.running.Go(func() {
		if err := server.Serve(p); !errors.Is(err, http.ErrServerClosed) && run.Err() == nil {
			a.fail(fmt.Errorf("serve the simulated nodes: %w", err))
		}
	})
	a.running.Go(func() {
		<-run.Done()
		transport.CloseIdleConnections()
		// What is still under way is the site's, which ends too.
		_ = server.Close()
	})
	a.site.SetBOS("http://bos"+a.cfg.Prefix, &http.Client{Transport: transport, Timeout: reportTimeout})
}
