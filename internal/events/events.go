// SPDX-License-Identifier: MIT

// Package events keeps what happens: whoever makes something happen records it
// in passing, for all its nodes at once, and a writer of its own brings it into
// the store. Nobody ever waits for that: what does not fit into the queue is
// counted, and the next event says so.
package events

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/xname"
)

const (
	// flushEvery is how soon an event is written; what is recorded of the same
	// kind until then joins it.
	flushEvery = 200 * time.Millisecond
	// calmAfter and slowest: an event that goes on for longer than calmAfter (a
	// thousand nodes that report one by one) is written more and more seldom, at
	// last every slowest.
	calmAfter = time.Second
	slowest   = 5 * time.Second
	// maxKinds bounds the events that wait, maxNodes the names of nodes in them.
	maxKinds = 4096
	maxNodes = 1 << 20
	// maxRange bounds the range of one event in bytes; more nodes make more events.
	maxRange = 64 << 10
	// writeTimeout bounds one write; retryPause is how long a store that is away is
	// left alone.
	writeTimeout = 5 * time.Second
	retryPause   = time.Second
	// farewell bounds the last write of a process that ends.
	farewell = 2 * time.Second
)

// Committer is the store, as far as it is needed here.
type Committer interface {
	Commit(ctx context.Context, txn store.Txn) (int64, error)
}

// Stats are what became of events so far.
type Stats struct {
	// Written counts events that are in the store, Dropped those recorded that
	// never will be.
	Written, Dropped int64
	// Waiting is how many wait to be written.
	Waiting int
}

// Recorder takes events. Its methods never wait and may be called by many
// goroutines; a nil Recorder takes nothing.
type Recorder struct {
	store Committer
	log   *slog.Logger
	now   func() time.Time
	wake  chan struct{}

	mu      sync.Mutex
	waiting map[kind]*pending
	nodes   int
	// flying are those that are being written.
	flying int
	// paces remember how often each kind was written lately.
	paces map[kind]pace
	stats Stats
	// lost are the drops that no event has told of.
	lost int64
	seq  int64
}

// kind is what events have in common that become one.
type kind struct {
	typ  bos.EventType
	key  bos.SessionKey
	text string
}

// pending is an event that is not written yet.
type pending struct {
	kind
	at    time.Time
	due   time.Time
	seq   int64
	nodes []string
	// lost is how many lost events this one tells of.
	lost int64
}

// pace is when events of a kind were last written, and how long the next ones
// are gathered.
type pace struct {
	last, since time.Time
	wait        time.Duration
}

// New returns a recorder; [Recorder.Run] writes what it takes. now is the wall
// clock; nil is time.Now.
func New(s Committer, log *slog.Logger, now func() time.Time) *Recorder {
	if now == nil {
		now = time.Now
	}
	return &Recorder{
		store: s, log: log, now: now, wake: make(chan struct{}, 1),
		waiting: map[kind]*pending{}, paces: map[kind]pace{},
	}
}

// Record takes one event about some nodes, which may be none. The text is
// cleaned of what events must not hold.
func (r *Recorder) Record(typ bos.EventType, session bos.SessionKey, text string, nodes ...string) {
	if r == nil {
		return
	}
	k := kind{typ, session, bos.EventText(text)}
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.waiting[k]
	if p == nil && len(r.waiting) >= maxKinds || r.nodes+len(nodes) > maxNodes {
		r.stats.Dropped++
		r.lost++
		return
	}
	if p == nil {
		r.seq++
		p = &pending{kind: k, at: at, seq: r.seq, due: time.Now().Add(r.paced(k))}
		r.waiting[k] = p
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	p.nodes = append(p.nodes, nodes...)
	r.nodes += len(nodes)
}

// RecordNodes takes events about components, one for each session that they
// belong to.
func (r *Recorder) RecordNodes(typ bos.EventType, text string, records []*bos.Record) {
	if r == nil || len(records) == 0 {
		return
	}
	bySession := map[bos.SessionKey][]string{}
	for _, rec := range records {
		key := rec.OwnSession()
		if key.Name == "" {
			key.Tenant = ""
		}
		bySession[key] = append(bySession[key], rec.Component.ID)
	}
	for key, ids := range bySession {
		r.Record(typ, key, text, ids...)
	}
}

// paced returns how long an event of a kind is gathered; the lock is held.
func (r *Recorder) paced(k kind) time.Duration {
	p, known := r.paces[k]
	now := time.Now()
	if !known || now.Sub(p.last) > 2*slowest {
		return flushEvery
	}
	wait := flushEvery
	if p.last.Sub(p.since) > calmAfter {
		wait = min(slowest, 2*p.wait)
	}
	p.wait = wait
	r.paces[k] = p
	return wait
}

// Stats returns what became of events so far.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Waiting = len(r.waiting) + r.flying
	return s
}

// Run writes events until ctx ends, and then those that wait still.
func (r *Recorder) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait := r.flush(ctx, false)
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	r.flush(last, true)
}

// Flush writes all events that wait now.
func (r *Recorder) Flush(ctx context.Context) { r.flush(ctx, true) }

// flush writes the events that are due, or all, and returns how long until the
// next are.
func (r *Recorder) flush(ctx context.Context, all bool) time.Duration {
	due, next := r.take(all)
	if len(due) == 0 {
		return next
	}
	docs := documents(due)
	for len(docs) > 0 {
		err := r.write(ctx, docs[0])
		if err == nil {
			docs = docs[1:]
			continue
		}
		if bos.IsUnavailable(err) || ctx.Err() != nil {
			r.back(due, docs)
			r.log.Debug("events could not be written yet", slog.Int("events", len(docs)), slog.Any("error", err))
			return retryPause
		}
		r.log.Warn("events could not be written and are dropped", slog.Int("events", len(docs)), slog.Any("error", err))
		r.drop(len(docs))
		break
	}
	r.done(due)
	return flushEvery
}

// take takes out the events that are due, in the order in which they were
// recorded, and what tells of drops.
func (r *Recorder) take(all bool) ([]*pending, time.Duration) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	next := time.Hour
	var due []*pending
	for k, p := range r.waiting {
		if wait := p.due.Sub(now); wait > 0 && !all {
			next = min(next, wait)
			continue
		}
		due = append(due, p)
		delete(r.waiting, k)
		r.nodes -= len(p.nodes)
	}
	r.flying = len(due)
	if r.lost > 0 {
		r.seq++
		due = append(due, &pending{at: r.now(), seq: r.seq, lost: r.lost, kind: kind{
			typ: bos.EventDropped, text: fmt.Sprintf("%d events could not be kept: too many came while the store did not take them", r.lost),
		}})
		r.lost = 0
	}
	slices.SortFunc(due, func(a, b *pending) int { return cmp.Compare(a.seq, b.seq) })
	return due, next
}

// done notes that events were written, for their pace.
func (r *Recorder) done(due []*pending) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying = 0
	if len(r.paces) > maxKinds {
		clear(r.paces)
	}
	for _, p := range due {
		was, known := r.paces[p.kind]
		if !known || now.Sub(was.last) > 2*slowest {
			was = pace{since: now, wait: flushEvery}
		}
		was.last = now
		r.paces[p.kind] = was
	}
}

func (r *Recorder) drop(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Dropped += int64(n)
	r.lost += int64(n)
}

// document is an event as it is stored.
type document struct {
	from  *pending
	key   string
	value []byte
}

// documents makes the documents of events: one each, or several for more nodes
// than one may name.
func documents(due []*pending) []document {
	var docs []document
	for _, p := range due {
		for _, part := range parts(p.nodes) {
			event := bos.Event{
				Time: bos.EventTime{Time: p.at}, Type: p.typ, Session: p.key.Name, Tenant: p.key.Tenant,
				Count: part.count, Nodes: part.nodes, Text: p.text,
			}
			value, err := json.Marshal(event)
			if err != nil {
				// Texts, numbers and a time always have a form in JSON.
				continue
			}
			docs = append(docs, document{from: p, key: store.NewEventKey(p.at), value: value})
		}
	}
	return docs
}

// part is a range of nodes.
type part struct {
	nodes string
	count int
}

// parts folds nodes to ranges that are not too long.
func parts(nodes []string) []part {
	ids := slices.Clone(nodes)
	slices.SortFunc(ids, xname.Compare)
	ids = slices.Compact(ids)
	folded := xname.Fold(ids)
	if len(folded) <= maxRange || len(ids) < 2 {
		return []part{{folded, len(ids)}}
	}
	half := len(ids) / 2
	return append(parts(ids[:half]), parts(ids[half:])...)
}

// write writes one document: each event has a revision of its own, by which who
// reads them goes on.
func (r *Recorder) write(ctx context.Context, d document) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, err := r.store.Commit(ctx, store.Txn{Ops: []store.Op{{Key: d.key, Value: d.value, Expect: store.AnyRevision}}})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Written++
	return nil
}

// back puts events back that could not be written: those of the documents that
// are left.
func (r *Recorder) back(due []*pending, left []document) {
	still := map[*pending]bool{}
	for _, d := range left {
		still[d.from] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying = 0
	for _, p := range due {
		if !still[p] {
			continue
		}
		if p.lost > 0 {
			// It is told of with those that are lost meanwhile.
			r.lost += p.lost
			continue
		}
		p.due = time.Now().Add(retryPause)
		switch newer := r.waiting[p.kind]; {
		case newer != nil && r.nodes+len(p.nodes) <= maxNodes:
			newer.nodes = append(newer.nodes, p.nodes...)
			newer.at, newer.seq = p.at, p.seq
			r.nodes += len(p.nodes)
		case newer == nil && len(r.waiting) < maxKinds && r.nodes+len(p.nodes) <= maxNodes:
			r.waiting[p.kind] = p
			r.nodes += len(p.nodes)
		default:
			r.stats.Dropped++
			r.lost++
		}
	}
}
