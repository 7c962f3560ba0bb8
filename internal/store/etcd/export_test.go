// SPDX-License-Identifier: MIT

package etcd

// Abandon closes the store as a crash would: no leadership is given up.
func (e *Engine) Abandon() {
	e.leases.mu.Lock()
	if l := e.leases.now; l != nil {
		l.stop()
		e.leases.now = nil
	}
	e.leases.mu.Unlock()
	e.cancel()
	_ = e.client.Close()
	e.server.Close()
}
