// SPDX-License-Identifier: MIT

// Package view is the fleet in memory: every document of the store, fed by a
// watch, with indexes for the questions that the API and the operators ask. An
// answer is a snapshot at one revision; a caller can wait until the view has
// reached the revision of its own write, or one that is no older than its call.
package view

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"
)

// View is a watch-fed copy of the store. Everything that it hands out is
// immutable.
type View struct {
	log   *slog.Logger
	clock *clock.Clock
	ready chan struct{}

	mu       sync.RWMutex
	revision int64
	nodes    nodes
	sessions owned[*bos.SessionRecord]
	// inState holds the same sessions by their state.
	inState map[bos.SessionState]owned[*bos.SessionRecord]
	// stopped are the sessions that are paused or being cancelled.
	stopped map[bos.SessionKey]struct{}
	// byUID finds the session of a plan; plans holds its chunks by number.
	byUID     map[string]bos.SessionKey
	plans     map[string]map[int]*bos.PlanChunk
	statuses  map[bos.SessionKey][]byte
	results   map[bos.SessionKey][]byte
	templates owned[*bos.TemplateRecord]
	tokens    map[string]store.Token
	attempts  map[string]*bos.Attempt
	options   bos.Options
	skipped   map[string]int64
	events    eventLog
	graves    graves

	// visits counts what questions looked at.
	visits atomic.Int64

	waiters waiters
	feeds   map[*Feed]struct{}
	rounds  rounds
	// changed are the revisions at which something of a kind last changed, epoch
	// tells this reading of the store from any other.
	changed changed
	epoch   uint64
	// encoder belongs to the goroutine that feeds the view.
	encoder encoder
}

// New returns a view that knows nothing yet; [View.Run] feeds it. It keeps the
// clock in step with the store's.
func New(c *clock.Clock, log *slog.Logger) *View {
	v := &View{log: log, clock: c, ready: make(chan struct{}), feeds: map[*Feed]struct{}{}}
	v.reset()
	return v
}

// reset empties the view; the lock is held or nobody else has it yet.
func (v *View) reset() {
	v.nodes = newNodes()
	v.sessions = owned[*bos.SessionRecord]{}
	v.inState = map[bos.SessionState]owned[*bos.SessionRecord]{}
	v.stopped = map[bos.SessionKey]struct{}{}
	v.byUID = map[string]bos.SessionKey{}
	v.plans = map[string]map[int]*bos.PlanChunk{}
	v.statuses = map[bos.SessionKey][]byte{}
	v.results = map[bos.SessionKey][]byte{}
	v.templates = owned[*bos.TemplateRecord]{}
	v.tokens = map[string]store.Token{}
	v.attempts = map[string]*bos.Attempt{}
	v.options = bos.DefaultOptions()
	v.skipped = map[string]int64{}
	v.events = eventLog{}
	v.graves = graves{}
	v.changed = changed{}
	v.epoch = rand.Uint64()
}

// Ready is closed once the view has read the store for the first time.
func (v *View) Ready() <-chan struct{} { return v.ready }

// Options returns the service's options.
func (v *View) Options() bos.Options {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.options
}

// Token returns the boot artifacts behind a BSS token.
func (v *View) Token(token string) (bos.BootArtifacts, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.tokens[token]
	return t.BootArtifacts, ok
}

// TokenDoc returns what is stored of a BSS token.
func (v *View) TokenDoc(token string) (store.Token, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.tokens[token]
	return t, ok
}

// Tokens returns all tokens.
func (v *View) Tokens() map[string]store.Token {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[string]store.Token, len(v.tokens))
	for token, t := range v.tokens {
		out[token] = t
	}
	return out
}

// Attempt returns an open attempt.
func (v *View) Attempt(id string) (*bos.Attempt, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a, ok := v.attempts[id]
	return a, ok
}

// Attempts returns the open attempts of an action.
func (v *View) Attempts(action bos.Action) []*bos.Attempt {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []*bos.Attempt
	for _, a := range v.attempts {
		if a.Action == action {
			out = append(out, a)
		}
	}
	return out
}

// Skipped returns the keys of documents that could not be read, each with the
// revision at which that was.
func (v *View) Skipped() map[string]int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make(map[string]int64, len(v.skipped))
	for key, revision := range v.skipped {
		out[key] = revision
	}
	return out
}

// Revision returns the revision that the view has reached.
func (v *View) Revision() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.revision
}
