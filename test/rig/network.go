// SPDX-License-Identifier: MIT

package rig

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Network is what is between the members of a cluster: each is reached by the
// others through a proxy, which knows by the first request on a connection who
// called, and can cut any two members off from each other.
type Network struct {
	t       testing.TB
	proxies []*proxy

	mu    sync.Mutex
	names map[string]int
	// cut are pairs of members between which nothing passes.
	cut   map[[2]int]bool
	lines map[*line]struct{}
}

// line is a connection from one member to another; from is -1 for a caller who
// did not say who it is.
type line struct {
	from, to int
	a, b     net.Conn
}

type proxy struct {
	listener net.Listener
	to       int
	target   string
}

func newNetwork(t testing.TB, size int) *Network {
	n := &Network{t: t, proxies: make([]*proxy, size), names: map[string]int{}, cut: map[[2]int]bool{}, lines: map[*line]struct{}{}}
	for i := range size {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		n.proxies[i] = &proxy{listener: l, to: i}
	}
	return n
}

// Address is where the others reach a member.
func (n *Network) Address(member int) string { return n.proxies[member].listener.Addr().String() }

// serve passes connections on to a member.
func (n *Network) serve(member int, target string) {
	p := n.proxies[member]
	p.target = target
	go func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			go n.connect(p, c)
		}
	}()
}

// learn tells which name in a request is which member.
func (n *Network) learn(members []Member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range members {
		n.names[m.ID] = int(m.Name[1] - '0')
	}
}

// maxHead bounds the head of a request in bytes.
const maxHead = 64 << 10

// connect reads who calls and connects it, if it may be.
func (n *Network) connect(p *proxy, caller net.Conn) {
	defer func() { _ = caller.Close() }()
	head := make([]byte, 0, 1024)
	for !bytes.Contains(head, []byte("\r\n\r\n")) && len(head) < maxHead {
		chunk := make([]byte, 1024)
		_ = caller.SetReadDeadline(time.Now().Add(10 * time.Second))
		k, err := caller.Read(chunk)
		head = append(head, chunk[:k]...)
		if err != nil {
			return
		}
	}
	_ = caller.SetReadDeadline(time.Time{})
	target, err := net.DialTimeout("tcp", p.target, 2*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = target.Close() }()
	l := &line{from: n.caller(head), to: p.to, a: caller, b: target}
	if !n.add(l) {
		return
	}
	defer n.remove(l)
	if _, err := target.Write(head); err != nil {
		return
	}
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	both.Go(func() { pass(target, caller) })
	both.Go(func() { pass(caller, target) })
	both.Wait()
}

// caller finds out which member sends a request.
func (n *Network) caller(head []byte) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, row := range bytes.Split(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(row, []byte(": "))
		if string(name) != http.CanonicalHeaderKey("X-Server-From") {
			continue
		}
		if member, ok := n.names[string(value)]; ok {
			return member
		}
	}
	return -1
}

func (n *Network) add(l *line) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isCut(l) {
		return false
	}
	n.lines[l] = struct{}{}
	return true
}

func (n *Network) remove(l *line) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.lines, l)
}

// isCut reports whether a line may not be; the lock is held. One of which nobody
// knows whose it is goes to a member that is cut off from anybody no more.
func (n *Network) isCut(l *line) bool {
	if l.from >= 0 {
		return n.cut[[2]int{l.from, l.to}]
	}
	for pair := range n.cut {
		if pair[1] == l.to {
			return true
		}
	}
	return false
}

// Isolate cuts a member off from all others, in both directions.
func (n *Network) Isolate(member int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.proxies {
		if other != member {
			n.cut[[2]int{member, other}], n.cut[[2]int{other, member}] = true, true
		}
	}
	for l := range n.lines {
		if n.isCut(l) {
			_ = l.a.Close()
			_ = l.b.Close()
		}
	}
}

// Heal lets everything pass again.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
}
