// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"math"
	"net/http"
)

// Result says what became of each item that was given to [Bisect]. Every item
// is in exactly one place: in one of the Accepted batches, in Refused, or in
// Untried.
type Result struct {
	// Accepted are the batches that went through, as they were sent.
	Accepted [][]string
	// Refused are the items that were refused, each with the reason.
	Refused map[string]error
	// Untried are the items about which nothing is known: they come next time.
	Untried []string
	// Away is why the work was broken off: the service went away or the
	// caller gave up. nil if the items are untried because the calls that one
	// pass may make were used up. Of a call that ended so, the items may have
	// been taken all the same; [Error.MaybeDone] says so.
	Away error
}

// Bisect has do carry out one batch, and finds the items that are at fault if
// the service refuses it with 400, 404, 413 or 414, so that the others go through.
//
// Two single items are tried first: if both are refused in the same words, the
// fault is the batch's and all are refused with it. Otherwise the rest is
// halved. At most 2·log2(n)+2 calls are made in all for n items. Nothing is
// tried after the service went away, and a refusal with another status, such
// as 401 or 409, is final for its batch. Repeated items count once; no items
// make no call.
func Bisect(ctx context.Context, items []string, do func(context.Context, []string) error) Result {
	b := &bisection{ctx: ctx, do: do}
	b.result.Refused = make(map[string]error)
	items = Unique(items, nil)
	n := len(items)
	if n == 0 {
		return b.result
	}
	b.calls = bisectBudget(n)
	err := b.try(items)
	if n > 1 && bisectable(err) {
		b.split(items, err)
	} else {
		b.settle(items, err)
	}
	return b.result
}

// bisectBudget is the number of calls that one bisection of n items may make.
func bisectBudget(n int) int {
	return int(math.Floor(2*math.Log2(float64(n)))) + 2
}

// bisectable reports whether err may be the fault of single items.
func bisectable(err error) bool {
	if !IsRefused(err) {
		return false
	}
	switch StatusOf(err) {
	case http.StatusBadRequest, http.StatusNotFound:
		return true
	default:
		return tooMany(err)
	}
}

// bisection is the state of one [Bisect].
type bisection struct {
	ctx    context.Context
	do     func(context.Context, []string) error
	calls  int
	result Result
	// pool are the items still to be tried; limit is the longest batch that is
	// worth trying.
	pool  []string
	limit int
}

// stopped reports whether no more calls may be made.
func (b *bisection) stopped() bool { return b.calls == 0 || b.result.Away != nil }

// try makes one call.
func (b *bisection) try(batch []string) error {
	b.calls--
	if err := b.ctx.Err(); err != nil {
		return &Error{Kind: Canceled, Err: err}
	}
	return b.do(b.ctx, batch)
}

// settle books a batch that is not to be divided.
func (b *bisection) settle(batch []string, err error) {
	switch {
	case err == nil:
		b.result.Accepted = append(b.result.Accepted, batch)
	case !IsRefused(err) && (IsAway(err) || kindOf(err) == Canceled || b.ctx.Err() != nil):
		b.result.Away = err
		b.result.Untried = append(b.result.Untried, batch...)
	default:
		for _, item := range batch {
			b.result.Refused[item] = err
		}
	}
}

// split goes on after all items were refused together with err.
func (b *bisection) split(items []string, err error) {
	defer func() { b.result.Untried = append(b.result.Untried, b.pool...) }()
	last := len(items) - 1
	first, second := items[:1], items[last:]
	b.pool, b.limit = items[1:], last-1

	firstErr := b.try(first)
	b.settle(first, firstErr)
	if b.stopped() {
		return
	}
	b.pool = items[1:last]
	secondErr := b.try(second)
	b.settle(second, secondErr)
	if b.stopped() || len(b.pool) == 0 {
		return
	}
	if sameRefusal(firstErr, secondErr) {
		b.settle(b.pool, firstErr)
		b.pool = nil
		return
	}
	// If both were taken, what is at fault is among the rest.
	known := firstErr == nil && secondErr == nil
	if tooMany(err) {
		// Unless nothing is, and there were only too many.
		known = false
		b.limit = max(1, min(b.limit, len(items)/2))
	}
	for len(b.pool) > 0 && !b.stopped() {
		b.next(known)
		known = false
	}
}

// next takes a batch from the pool. known says that the pool was refused
// already, as a part of a longer batch whose other parts were taken.
func (b *bisection) next(known bool) {
	n := min(b.limit, len(b.pool))
	batch := b.pool[:n]
	b.pool = b.pool[n:]
	if known && n > 1 {
		b.search(batch)
		return
	}
	err := b.try(batch)
	switch {
	case len(batch) == 1 || !bisectable(err):
		b.settle(batch, err)
	case tooMany(err):
		// Too much at once: the items are not at fault, smaller batches go.
		b.limit = max(1, len(batch)/2)
		b.pool = append(append([]string{}, batch...), b.pool...)
	default:
		b.search(batch)
	}
}

// search finds one item at fault in a batch that holds one, by halving. The
// halves that it passes by go back into the pool, to be tried together: where
// few items are at fault, that takes the fewest calls.
func (b *bisection) search(batch []string) {
	for len(batch) > 1 {
		if b.stopped() {
			b.giveBack(batch)
			return
		}
		half := len(batch) / 2
		left, right := batch[:half], batch[half:]
		err := b.try(left)
		switch {
		case err == nil:
			b.settle(left, nil)
			batch = right
		case !bisectable(err):
			b.settle(left, err)
			b.giveBack(right)
			return
		case len(left) == 1:
			b.settle(left, err)
			b.giveBack(right)
			return
		default:
			b.giveBack(right)
			batch = left
		}
	}
	if b.stopped() {
		b.giveBack(batch)
		return
	}
	b.settle(batch, b.try(batch))
}

// giveBack returns items to the pool without touching the caller's slice.
func (b *bisection) giveBack(items []string) {
	b.pool = append(append([]string{}, b.pool...), items...)
}

// sameRefusal reports whether two refusals say the same.
func sameRefusal(a, b error) bool {
	return IsRefused(a) && IsRefused(b) && StatusOf(a) == StatusOf(b) && WordsOf(a) == WordsOf(b)
}
