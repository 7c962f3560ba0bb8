// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"fmt"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/store"
	"bos/internal/view"
)

// actualStateOperator empties reported states that are too old to be true, and
// forgets BSS tokens that nobody will report any more.
type actualStateOperator struct{ *Deps }

// ttlShare is which part of the lifetime of reports may pass between two looks
// at everything; single reports are looked at when their time is over.
const ttlShare = 8

// lead implements [role].
func (o *actualStateOperator) lead(ctx context.Context, l store.Leadership) error {
	feed := o.View.Subscribe(view.Interest{
		Node: func(old, next *view.Node) bool {
			return next != nil && (old == nil || old.Record.Sealed.ActualAt != next.Record.Sealed.ActualAt || enabled(old) != enabled(next))
		},
		Options: true,
	})
	defer feed.Close()
	loop := newLoop(o.Deps, decide.RoleActualStateCleanup, feed)
	loop.interval = func() time.Duration { return o.View.Options().ActualStateTTL() / ttlShare }
	loop.all = func() []string {
		nodes := o.View.Components(view.Filter{})
		ids := make([]string, len(nodes))
		for i, n := range nodes {
			ids[i] = n.ID()
		}
		return ids
	}
	var tokensAt bos.Instant
	loop.pass = func(ctx context.Context, ids []string) (map[string]bos.Instant, error) {
		due, err := o.pass(ctx, l, ids)
		if now := o.Clock.Now(); err == nil && now >= tokensAt {
			tokensAt = now.Add(loop.interval())
			err = o.cleanTokens(ctx, l, now)
		}
		return due, err
	}
	loop.run(ctx)
	return nil
}

func (o *actualStateOperator) pass(ctx context.Context, l store.Leadership, ids []string) (map[string]bos.Instant, error) {
	opts := o.View.Options()
	old, due := decide.ActualStateCleanup(o.Clock.Now(), opts, o.View.Records(ids))
	decided := make(map[string]int64, len(old))
	for _, rec := range o.View.Records(old) {
		decided[rec.Component.ID] = rec.Revision
	}
	written, err := o.change(ctx, l, decided, func(_ string, rec bos.Record) (bos.Record, bool) {
		if again, _ := decide.ActualStateCleanup(o.Clock.Now(), opts, []*bos.Record{&rec}); len(again) == 0 {
			return rec, false
		}
		return o.write().Operate(rec, decide.CleanedUp()), true
	})
	expired := happenings{}
	for _, rec := range written {
		expired.add(decide.ExpiredHappening(opts), rec)
	}
	o.tell(expired)
	return due, err
}

// cleanTokens keeps the tokens to which a component refers fresh, and deletes
// those that nobody has referred to for longer than a report counts.
func (o *actualStateOperator) cleanTokens(ctx context.Context, l store.Leadership, now bos.Instant) error {
	tokens := o.View.Tokens()
	if len(tokens) == 0 {
		return nil
	}
	used := map[string]bool{}
	for _, n := range o.View.Components(view.Filter{}) {
		c := &n.Record.Component
		used[c.DesiredState.Value().BSSToken.Value()] = true
		used[c.ActualState.Value().BSSToken.Value()] = true
	}
	ttl := o.View.Options().ActualStateTTL()
	fence := l.Fence()
	for name, token := range tokens {
		age := now.Sub(token.UsedAt)
		var op store.Op
		switch {
		case used[name] && age > ttl/4:
			token.UsedAt = now
			value, err := store.Encode(token)
			if err != nil {
				return err
			}
			op = store.Op{Key: store.TokenKey(name), Value: value, Expect: store.AnyRevision}
		case !used[name] && age > ttl+ttl/2:
			op = store.Op{Key: store.TokenKey(name), Delete: true, Expect: store.AnyRevision}
		default:
			continue
		}
		if _, err := o.Store.Commit(ctx, store.Txn{Ops: []store.Op{op}, Fence: &fence}); err != nil {
			return fmt.Errorf("clean up BSS tokens: %w", err)
		}
	}
	return nil
}
