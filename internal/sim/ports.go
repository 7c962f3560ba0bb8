// SPDX-License-Identifier: MIT

package sim

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// port is the socket of one service. It can be closed and opened again at the
// same address, so that a service can be away the way real ones are.
type port struct {
	host    string
	number  int
	unbound string
	handler http.Handler

	mu     sync.Mutex
	addr   string
	server *http.Server
	served sync.WaitGroup
	shut   bool
}

// up listens and serves. It does nothing where the port is up.
func (p *port) up() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return net.ErrClosed
	}
	if p.server != nil {
		return nil
	}
	want := p.addr
	if want == "" {
		want = net.JoinHostPort(p.host, strconv.Itoa(p.number))
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", want)
	if err != nil {
		return err
	}
	p.addr = l.Addr().String()
	p.server = &http.Server{
		Handler:           p.handler,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := p.server
	p.served.Go(func() { _ = server.Serve(l) })
	return nil
}

// down stops listening and breaks all connections. It does nothing where the
// port is down.
func (p *port) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
}

// close is down for ever.
func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	p.stop()
}

func (p *port) stop() {
	if p.server == nil {
		return
	}
	_ = p.server.Close()
	p.served.Wait()
	p.server = nil
}

// address returns host and port; a name that no resolver knows before the
// first time the port was up.
func (p *port) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addr == "" {
		return p.unbound
	}
	return p.addr
}
