// SPDX-License-Identifier: MIT

package mem

import (
	"context"
	"slices"
	"sync"

	"bos/internal/bos"
	"bos/internal/store"
)

type leadership struct {
	engine *Engine
	role   string
	fence  store.Fence
	lost   chan struct{}
	once   sync.Once
}

// Campaign implements [store.Engine].
func (e *Engine) Campaign(ctx context.Context, role, holder string) (store.Leadership, error) {
	for {
		l, wait, err := e.tryLead(ctx, role, holder)
		if err != nil || l != nil {
			return l, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			e.stopWaiting(role, wait)
			return nil, ctx.Err()
		case <-e.closed:
			return nil, bos.Unavailable("store", errClosed)
		}
	}
}

// tryLead returns the leadership, or a channel that is closed when it may be
// free.
func (e *Engine) tryLead(ctx context.Context, role, holder string) (store.Leadership, chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.check(ctx); err != nil {
		return nil, nil, err
	}
	if e.leaders[role] != nil {
		wait := make(chan struct{})
		e.waiting[role] = append(e.waiting[role], wait)
		return nil, wait, nil
	}
	key := store.PrefixLeaders + role
	e.apply([]store.Op{{Key: key, Value: []byte(holder)}})
	l := &leadership{
		engine: e, role: role, lost: make(chan struct{}),
		fence: store.Fence{Key: key, Revision: e.revision},
	}
	e.leaders[role] = l
	return l, nil, nil
}

func (e *Engine) stopWaiting(role string, wait chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[role] = slices.DeleteFunc(e.waiting[role], func(c chan struct{}) bool { return c == wait })
}

// Depose ends the leadership of a role, as an expired lease would.
func (e *Engine) Depose(role string) {
	e.mu.Lock()
	l := e.leaders[role]
	e.mu.Unlock()
	if l != nil {
		l.end()
	}
}

func (l *leadership) end() {
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaders[l.role] != l {
		return
	}
	l.lose()
	delete(e.leaders, l.role)
	e.apply([]store.Op{{Key: l.fence.Key, Delete: true}})
	for _, wait := range e.waiting[l.role] {
		close(wait)
	}
	delete(e.waiting, l.role)
}

func (l *leadership) lose() { l.once.Do(func() { close(l.lost) }) }

// Fence implements [store.Leadership].
func (l *leadership) Fence() store.Fence { return l.fence }

// Alive implements [store.Leadership].
func (l *leadership) Alive() bool {
	select {
	case <-l.lost:
		return false
	default:
		return true
	}
}

// Lost implements [store.Leadership].
func (l *leadership) Lost() <-chan struct{} { return l.lost }

// Resign implements [store.Leadership].
func (l *leadership) Resign(context.Context) error {
	l.end()
	return nil
}
