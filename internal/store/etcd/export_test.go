// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"time"
)

// Abandon closes the store as a crash would: no leadership is given up.
func (e *Engine) Abandon() {
	e.stopRenewing()
	e.stop()
	_ = e.client.Close()
	e.server.Close()
}

// Freeze stops the renewal of leaderships, as a process that is stopped does;
// Thaw renews once, as one does that goes on.
func (e *Engine) Freeze() { e.stopRenewing() }

// Thaw goes on with the renewal of leaderships.
func (e *Engine) Thaw() {
	e.leases.mu.Lock()
	defer e.leases.mu.Unlock()
	l := e.leases.now
	ctx, stop := context.WithCancel(e.ctx)
	l.stop, l.stopped = stop, make(chan struct{})
	go l.renew(ctx)
}

func (e *Engine) stopRenewing() {
	e.leases.mu.Lock()
	defer e.leases.mu.Unlock()
	if l := e.leases.now; l != nil {
		l.stop()
		<-l.stopped
	}
}

// LeaseTTL is how long a leadership outlives its process.
func (e *Engine) LeaseTTL() time.Duration { return e.leaseTTL }

// LookAtHistory lets an embedded store forget history if there is too much.
func (e *Engine) LookAtHistory(ctx context.Context) error { return e.compactor.look(ctx) }
