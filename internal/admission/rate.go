// SPDX-License-Identifier: MIT

// Package admission bounds what clients can take of a server before anybody has
// looked at what they want: requests at the same moment, requests a second,
// connections, and the header of a request that takes too long or too much.
package admission

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bos/internal/bos"
)

// Rates bounds how many requests a second each client makes: a token bucket for
// each. A client is whatever the caller takes for one. It may be used by many
// goroutines.
type Rates struct {
	perSecond float64
	burst     int
	most      int

	mu      sync.Mutex
	clients map[string]*list.Element
	// recent has the client of the last request in front.
	recent *list.List
}

// bucket is the bucket of one client.
type bucket struct {
	client string
	limit  *rate.Limiter
}

// NewRates returns a bound of perSecond requests a second, above 0, and of burst
// requests at once, for as many as most clients. If there are more, the one that
// has been silent for longest is forgotten, and may begin anew.
func NewRates(perSecond float64, burst, most int) *Rates {
	return &Rates{perSecond: perSecond, burst: burst, most: most, clients: map[string]*list.Element{}, recent: list.New()}
}

// Take counts one request. If it is one too many it returns how long to wait;
// a request that is refused does not count.
func (r *Rates) Take(client string, now time.Time) (wait time.Duration) {
	limit := r.limiter(client)
	reservation := limit.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// limiter returns the bucket of a client, made at the first request.
func (r *Rates) limiter(client string) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.clients[client]; ok {
		r.recent.MoveToFront(e)
		return bucketOf(e).limit
	}
	if len(r.clients) >= r.most {
		oldest := r.recent.Back()
		delete(r.clients, bucketOf(oldest).client)
		r.recent.Remove(oldest)
	}
	b := &bucket{client, rate.NewLimiter(rate.Limit(r.perSecond), r.burst)}
	r.clients[client] = r.recent.PushFront(b)
	return b.limit
}

func bucketOf(e *list.Element) *bucket {
	b, _ := e.Value.(*bucket)
	return b
}

// Clients returns how many clients are known.
func (r *Rates) Clients() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients)
}

// Refusal makes the error for a request that has to wait. who names the client
// for itself.
func (r *Rates) Refusal(who string, wait time.Duration) error {
	return &bos.Error{Code: bos.CodeTooMany, RetryAfter: wait, Message: fmt.Sprintf(
		"%s made more than %g requests a second, after %d at once; try again in %v",
		who, r.perSecond, r.burst, wait.Round(time.Millisecond))}
}

// Client names the client of a connection by its address: of IPv6 by its
// network of 64 bits, since a host may choose what follows. An address of this
// host's own is local and has no name.
func Client(remote string) (client string, local bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote, false
	}
	addr := at.Addr().Unmap()
	if addr.IsLoopback() {
		return "", true
	}
	if addr.Is6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			return network.String(), false
		}
	}
	return addr.String(), false
}
