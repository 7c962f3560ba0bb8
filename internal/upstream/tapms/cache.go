// SPDX-License-Identifier: MIT

package tapms

import (
	"context"
	"sync"
	"time"

	"bos/internal/bos"
)

// MaxTTL is the longest time that an answer may be used again.
const MaxTTL = 10 * time.Second

// maxTenants bounds the tenants that are remembered.
const maxTenants = 1000

// Cache makes at most one request at a time for each tenant, and remembers the
// nodes of tenants for a short time if the site allows it. It is safe for
// concurrent use.
type Cache struct {
	client *Client
	ttl    time.Duration

	mu      sync.Mutex
	tenants map[string]*entry
}

// entry is what is known of one tenant and who is asking for it.
type entry struct {
	xnames []string
	// asked is when the request began that xnames are from; zero if there are
	// none.
	asked time.Time
	// running is the request under way; next begins when that one ends.
	running, next *flight
}

// flight is one request that any number of callers wait for.
type flight struct {
	done   chan struct{}
	xnames []string
	err    error
}

func newFlight() *flight { return &flight{done: make(chan struct{})} }

// NewCache makes a cache. ttl is how long after its request began an answer may
// be used again: 0, which is never once it has arrived, to [MaxTTL]; longer
// counts as that.
func NewCache(client *Client, ttl time.Duration) *Cache {
	return &Cache{client: client, ttl: min(ttl, MaxTTL), tenants: make(map[string]*entry)}
}

// Client returns the client that the cache asks.
func (c *Cache) Client() *Client { return c.client }

// Fresh is [Client.Tenant] with an answer that TAPMS was asked for after the
// call began. Callers that wait for the same tenant share a request. The slice
// is shared and must not be changed.
func (c *Cache) Fresh(ctx context.Context, name string) ([]string, error) {
	c.mu.Lock()
	e := c.entry(name)
	f := e.running
	switch {
	case f == nil:
		f = c.start(ctx, name, e)
	case e.next == nil:
		// The request under way may have been answered already.
		e.next = newFlight()
		f = e.next
	default:
		f = e.next
	}
	c.mu.Unlock()
	return f.wait(ctx)
}

// Cached is [Client.Tenant] with the answer of a request that was under way
// already, or that is as old as the time to live at most. Failures are not
// remembered. The slice is shared and must not be changed.
func (c *Cache) Cached(ctx context.Context, name string) ([]string, error) {
	c.mu.Lock()
	e := c.entry(name)
	if !e.asked.IsZero() && time.Since(e.asked) < c.ttl {
		defer c.mu.Unlock()
		return e.xnames, nil
	}
	f := e.running
	if f == nil {
		f = c.start(ctx, name, e)
	}
	c.mu.Unlock()
	return f.wait(ctx)
}

// entry finds or makes the entry of a tenant. The caller holds the lock.
func (c *Cache) entry(name string) *entry {
	if e := c.tenants[name]; e != nil {
		return e
	}
	e := &entry{}
	if len(c.tenants) < maxTenants || c.evict() {
		c.tenants[name] = e
	}
	// Otherwise it is used this once, and not shared.
	return e
}

// evict drops the tenant that was asked for longest ago and reports whether
// there is one that nobody is waiting for. The caller holds the lock.
func (c *Cache) evict() bool {
	oldest := ""
	for name, e := range c.tenants {
		if e.running == nil && (oldest == "" || e.asked.Before(c.tenants[oldest].asked)) {
			oldest = name
		}
	}
	if oldest == "" {
		return false
	}
	delete(c.tenants, oldest)
	return true
}

// start begins a request. The caller holds the lock.
func (c *Cache) start(ctx context.Context, name string, e *entry) *flight {
	f := newFlight()
	e.running = f
	// Others may be waiting when this caller gives up. The service's own
	// time-out ends the request.
	go c.fly(context.WithoutCancel(ctx), name, e)
	return f
}

// fly makes the requests for one tenant until nobody wants another one.
func (c *Cache) fly(ctx context.Context, name string, e *entry) {
	for {
		asked := time.Now()
		xnames, err := c.client.Tenant(ctx, name)
		if c.land(name, e, asked, xnames, err) {
			return
		}
	}
}

// land books an answer and reports whether it was the last that was wanted.
func (c *Cache) land(name string, e *entry, asked time.Time, xnames []string, err error) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := e.running
	f.xnames, f.err = xnames, err
	close(f.done)
	switch {
	case err == nil && c.ttl > 0:
		e.xnames, e.asked = xnames, asked
	case bos.IsNotFound(err):
		// What was known of it is certainly over.
		e.xnames, e.asked = nil, time.Time{}
	}
	e.running, e.next = e.next, nil
	if e.running != nil {
		return false
	}
	if e.asked.IsZero() && c.tenants[name] == e {
		delete(c.tenants, name)
	}
	return true
}

// wait waits for the answer or for the end of the caller.
func (f *flight) wait(ctx context.Context) ([]string, error) {
	select {
	case <-f.done:
		return f.xnames, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
