// SPDX-License-Identifier: MIT

package sim

import (
	"sync"
	"time"
)

// AttemptHeader is the header that carries BOS's attempt id on every call that
// causes an effect.
const AttemptHeader = "BOS-Attempt"

// The bounds of the call log.
const (
	// MaxCalls is how many calls the log keeps; older ones are dropped.
	MaxCalls = 200000
	// maxLoggedNodes bounds the node names in the log: the oldest calls lose
	// theirs first.
	maxLoggedNodes = 2000000
)

// Call is one request that a service of the site received.
type Call struct {
	// Time is when the request arrived.
	Time time.Time `json:"time"`
	// Service is one of [Services].
	Service string `json:"service"`
	// Method and Path are those of the request; the path has no query.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Attempt is the value of AttemptHeader, "" without.
	Attempt string `json:"attempt,omitempty"`
	// Operation is the operation of a PCS transition, in PCS's own spelling.
	Operation string `json:"operation,omitempty"`
	// Nodes are the nodes named by a call that changes something. The slice is
	// shared: don't change it.
	Nodes []string `json:"nodes,omitempty"`
	// Kernel is the kernel that a write of boot parameters names.
	Kernel string `json:"kernel,omitempty"`
	// Status is the HTTP status answered, 0 where the connection was broken off.
	Status int `json:"status"`
	// Duration is how long the answer took.
	Duration time.Duration `json:"duration"`
}

// callLog keeps the last calls in a ring.
type callLog struct {
	mu     sync.Mutex
	ring   []Call
	oldest int
	// nodes counts the names in the ring, stripped the calls from oldest on that
	// have lost theirs.
	nodes    int
	stripped int
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < MaxCalls {
		l.ring = append(l.ring, c)
	} else {
		l.nodes -= len(l.ring[l.oldest].Nodes)
		l.ring[l.oldest] = c
		l.oldest = (l.oldest + 1) % MaxCalls
		l.stripped = max(l.stripped-1, 0)
	}
	l.nodes += len(c.Nodes)
	for l.nodes > maxLoggedNodes && l.stripped < len(l.ring) {
		old := &l.ring[(l.oldest+l.stripped)%len(l.ring)]
		l.nodes -= len(old.Nodes)
		old.Nodes = nil
		l.stripped++
	}
}

// last returns up to limit calls, oldest first; all for a negative limit.
func (l *callLog) last(limit int) []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.ring)
	if limit >= 0 && limit < n {
		n = limit
	}
	out := make([]Call, 0, n)
	for i := len(l.ring) - n; i < len(l.ring); i++ {
		out = append(out, l.ring[(l.oldest+i)%len(l.ring)])
	}
	return out
}

// first returns up to limit of the calls that match, oldest first.
func (l *callLog) first(limit int, match func(*Call) bool) []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Call{}
	for i := 0; i < len(l.ring) && len(out) < limit; i++ {
		if c := &l.ring[(l.oldest+i)%len(l.ring)]; match(c) {
			out = append(out, *c)
		}
	}
	return out
}

// Log returns the calls received, oldest first: the last MaxCalls of them.
func (s *Site) Log() []Call { return s.calls.last(-1) }
