// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

const (
	// slowShare bounds how far time-outs alone bring a batch size down: to this
	// part of the most. A service that hangs is not helped by smaller batches.
	slowShare = 16
	// firstPatience and maxPatience bound after how many batches that went
	// through a size beyond the one that was refused is tried again; they double
	// with each refusal.
	firstPatience = 16
	maxPatience   = 4096
)

// Sizer finds out how many items a service takes at once: fewer after a refusal
// of the size (413, 414, or 400 although no item is at fault) and after
// time-outs, more again while batches go through. It is safe for concurrent
// use. A nil Sizer knows no bound and learns nothing.
type Sizer struct {
	most int
	live func() int

	mu sync.Mutex
	// size is how many go at once now, limit how many were not refused.
	size, limit int
	// patience is after how many full batches the limit is doubted; taken counts
	// them. raised says that no batch has shown yet that more go indeed.
	patience, taken int
	raised          bool
}

// NewSizer makes a sizer for batches of up to most items. live caps it
// further, at each use; it may be nil, and anything not positive is no cap.
func NewSizer(most int, live func() int) *Sizer {
	most = max(most, 1)
	return &Sizer{most: most, live: live, size: most, limit: most, patience: firstPatience}
}

// Sizer makes a sizer of this service for batches of up to most items, capped
// by Config.MaxBatch.
func (s *Service) Sizer(most int) *Sizer { return NewSizer(most, s.cfg.MaxBatch) }

// Size returns how many of want items go at once; at least 1 of some.
func (z *Sizer) Size(want int) int {
	if z == nil {
		return want
	}
	if z.live != nil {
		if n := z.live(); n > 0 {
			want = min(want, n)
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return min(want, z.size)
}

// Took notes that a batch of n items went through.
func (z *Sizer) Took(n int) {
	if z == nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if n < z.size {
		return
	}
	if z.raised && n >= z.limit {
		z.raised = false
		z.patience = max(firstPatience, z.patience/4)
	}
	if z.taken++; z.taken >= z.patience && z.limit < z.most {
		z.limit, z.raised = min(z.most, 2*z.limit), true
		z.taken = 0
	}
	z.size = min(z.limit, 2*z.size)
}

// Refused notes that n items were too many.
func (z *Sizer) Refused(n int) {
	if z == nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.shrink(n / 2)
}

// shrink comes down to at most n at once; the lock is held.
func (z *Sizer) shrink(n int) {
	z.size = max(1, min(z.size, n))
	z.limit = z.size
	z.patience = min(maxPatience, 2*z.patience)
	z.taken, z.raised = 0, false
}

// fits notes that n items went through where more were refused.
func (z *Sizer) fits(n int) {
	if z == nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.shrink(n)
}

// slow notes that n items were not answered in time.
func (z *Sizer) slow(n int) {
	if z == nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	floor := max(1, z.most/slowShare)
	if n > floor {
		z.size = max(floor, min(z.size, n/2))
	}
}

// Learn notes what became of one call with n items, as far as its error alone
// tells.
func (z *Sizer) Learn(n int, err error) {
	switch {
	case z == nil:
	case err == nil:
		z.Took(n)
	case tooMany(err) && n > 1:
		z.Refused(n)
	case timedOut(err):
		z.slow(n)
	}
}

// Bisect is [Bisect] in batches that fit, and learns from it: a refusal of the
// whole although no item is at fault was one of its size.
func (z *Sizer) Bisect(ctx context.Context, items []string, do func(context.Context, []string) error) Result {
	total := Result{Refused: map[string]error{}}
	rest := Unique(items, nil)
	for len(rest) > 0 {
		n := max(1, z.Size(len(rest)))
		r := Bisect(ctx, rest[:n:n], do)
		longest := 0
		for _, part := range r.Accepted {
			longest = max(longest, len(part))
		}
		switch {
		case longest == n:
			z.Took(n)
		case longest > 0 && len(r.Refused) == 0 && r.Away == nil:
			z.fits(longest)
		case r.Away != nil && timedOut(r.Away):
			z.slow(n)
		}
		total.Accepted = append(total.Accepted, r.Accepted...)
		total.Untried = append(total.Untried, r.Untried...)
		for item, err := range r.Refused {
			total.Refused[item] = err
		}
		rest = rest[n:]
		if r.Away != nil {
			total.Away = r.Away
			total.Untried = append(total.Untried, rest...)
			break
		}
	}
	return total
}

// Each has do ask about all items, in batches that fit; do may be called again
// with a part of what it was refused. It stops at the first error that smaller
// batches don't help against: of one item, or of none in particular.
func (z *Sizer) Each(ctx context.Context, items []string, do func(context.Context, []string) error) error {
	// doubted is how many items were refused at once, without a word about their
	// number; while they go through in smaller parts, size is that of the parts
	// and left how many are left of them.
	var doubted, size, left int
	for len(items) > 0 {
		n := max(1, z.Size(len(items)))
		if doubted > 0 {
			n = min(n, size, left)
		}
		err := do(ctx, items[:n:n])
		switch {
		case err == nil:
			items = items[n:]
			if left -= n; doubted > 0 && left <= 0 {
				z.fits(size)
				doubted = 0
			} else if doubted == 0 {
				z.Took(n)
			}
		case tooMany(err) && n > 1:
			z.Refused(n)
			doubted = 0
		case StatusOf(err) == http.StatusBadRequest && IsRefused(err) && n > 1:
			if doubted == 0 {
				doubted, left = n, n
			}
			size = n / 2
		default:
			if timedOut(err) {
				z.slow(n)
			}
			return err
		}
	}
	return nil
}

// tooMany reports whether a call was refused because of its size.
func tooMany(err error) bool {
	switch StatusOf(err) {
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}

// timedOut reports whether a call was not answered in time.
func timedOut(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.late || e.Status == http.StatusRequestTimeout || e.Status == http.StatusGatewayTimeout)
}
