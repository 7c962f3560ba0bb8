// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/view"
)

// message is one event of a stream: a component, a session, or anything else
// with its kind and its data.
type message struct {
	revision int64
	node     *view.Node
	session  *bos.SessionKey
	kind     string
	data     any
}

type resetData struct {
	Reason string `json:"reason"`
}

// fleetData are the sums of the components that a client follows.
type fleetData struct {
	Total    int                    `json:"total"`
	Enabled  int                    `json:"enabled"`
	ByStatus map[bos.StatusName]int `json:"by_status"`
	ByPhase  map[bos.Phase]int      `json:"by_phase"`
}

// goneNode and goneSession name what the client has to forget.
type goneNode struct {
	Deleted   bool `json:"deleted"`
	Component struct {
		ID string `json:"id"`
	} `json:"component"`
}

type goneSession struct {
	Deleted bool `json:"deleted"`
	Session struct {
		Name   string  `json:"name"`
		Tenant *string `json:"tenant"`
	} `json:"session"`
}

// aboutNode makes the message about a component; false if it is none of the
// client's. One that is no longer among those that are followed counts as gone.
func (st *stream) aboutNode(id string, at int64) (message, bool) {
	if !st.mayShow(id) {
		return message{}, false
	}
	if n, ok := st.view.Node(id); ok && st.shows(n) {
		return message{revision: n.Record.Revision, node: n}, true
	}
	gone := goneNode{Deleted: true}
	gone.Component.ID = id
	return message{revision: at, kind: "component", data: gone}, true
}

func (st *stream) aboutSession(key bos.SessionKey, at int64) (message, bool) {
	if !st.showsSession(key) {
		return message{}, false
	}
	if rec, ok := st.view.Session(key); ok {
		return message{revision: rec.Revision, session: &key}, true
	}
	delete(st.driven, key)
	gone := goneSession{Deleted: true}
	gone.Session.Name = key.Name
	if key.Tenant != "" {
		gone.Session.Tenant = &key.Tenant
	}
	return message{revision: at, kind: "session", data: gone}, true
}

// send puts a message into the outbox.
func (st *stream) send(m message, id int64) error {
	switch {
	case m.node != nil:
		data := append([]byte(nil), `{"deleted":false,"component":`...)
		return st.out.event("component", append(m.node.AppendJSON(data), '}'), id)
	case m.session != nil:
		data, err := st.live.session(st.server, *m.session)
		if err != nil || data == nil {
			return err
		}
		return st.out.event("session", data, id)
	}
	data, err := json.Marshal(m.data)
	if err != nil {
		return fmt.Errorf("encode an event of a stream: %w", err)
	}
	return st.out.event(m.kind, data, id)
}

// fleet counts the components that the client follows.
func (st *stream) fleet() fleetData {
	if st.within == nil && st.nodes == nil && st.session == nil {
		return st.live.fleet(st.view)
	}
	f := newFleetData()
	if st.session != nil {
		active, _ := st.view.Driven(*st.session)
		for _, rec := range active {
			if st.mayShow(rec.Component.ID) {
				f.add(rec)
			}
		}
		return f
	}
	for _, n := range st.view.Components(view.Filter{Within: st.within}) {
		if st.shows(n) {
			f.add(n.Record)
		}
	}
	return f
}

func newFleetData() fleetData {
	return fleetData{ByStatus: map[bos.StatusName]int{}, ByPhase: map[bos.Phase]int{}}
}

func (f *fleetData) add(rec *bos.Record) {
	c := &rec.Component
	f.Total++
	if c.Enabled.Value() {
		f.Enabled++
	}
	f.ByStatus[c.StatusNow()]++
	f.ByPhase[c.Status.Value().Phase.Value()]++
}

// replay reads from the store's history what was deleted before this process
// read the store: everything else the view knows. It fails if the history is not
// kept any more.
func (st *stream) replay(ctx context.Context, after int64) (view.Since, bool) {
	floor := st.view.Floor()
	if after < st.view.EventsFloor() {
		return view.Since{}, false
	}
	since, ok := st.view.ChangedSince(floor)
	if !ok {
		return since, false
	}
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	w, err := st.store.Watch(ctx, store.Root, after)
	if err != nil {
		return since, false
	}
	for {
		if w.Progress(ctx) != nil {
			return since, false
		}
		select {
		case <-ctx.Done():
			return since, false
		case batch, open := <-w.C():
			if !open {
				return since, false
			}
			for _, event := range batch.Events {
				if id, is := strings.CutPrefix(event.Key, store.PrefixComponents); is {
					since.Nodes = append(since.Nodes, id)
				}
				if rest, is := strings.CutPrefix(event.Key, store.PrefixSessions); is {
					if key, ok := store.ParseTenantKey(rest); ok {
						since.Sessions = append(since.Sessions, key)
					}
				}
			}
			if batch.Revision >= floor {
				return view.Since{Nodes: once(since.Nodes), Sessions: onceKeys(since.Sessions)}, true
			}
		case <-time.After(progressPause):
		}
	}
}

// progressPause is how often the store is asked how far a replay is.
const progressPause = 20 * time.Millisecond

func onceKeys(keys []bos.SessionKey) []bos.SessionKey {
	seen := make(map[bos.SessionKey]bool, len(keys))
	var out []bos.SessionKey
	for _, key := range keys {
		if !seen[key] {
			seen[key] = true
			out = append(out, key)
		}
	}
	return out
}

// live is what streams share: the sums of sessions and of the fleet, computed
// once for all.
type live struct {
	mu       sync.Mutex
	sessions map[bos.SessionKey]liveSession
	total    fleetData
	totalAt  int64
}

// liveSession is what is told of a session, as of a revision of the view.
type liveSession struct {
	at   int64
	data []byte
}

// maxLive bounds the sessions that are remembered.
const maxLive = 256

// session returns what is told of a session, nil if there is none of that name.
func (l *live) session(s *server, key bos.SessionKey) ([]byte, error) {
	at := s.view.Revision()
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.sessions[key]; ok && known.at >= at {
		return known.data, nil
	}
	at = s.view.Revision()
	rec, ok := s.view.Session(key)
	if !ok {
		return nil, nil
	}
	data, err := json.Marshal(struct {
		Deleted bool        `json:"deleted"`
		Session bos.Session `json:"session"`
		Outcome bos.Outcome `json:"outcome"`
	}{false, s.shown(rec), s.outcome(rec)})
	if err != nil {
		return nil, fmt.Errorf("encode session %q: %w", key.Name, err)
	}
	if l.sessions == nil || len(l.sessions) >= maxLive {
		l.sessions = map[bos.SessionKey]liveSession{}
	}
	l.sessions[key] = liveSession{at, data}
	return data, nil
}

// fleet returns the sums of all components.
func (l *live) fleet(v *view.View) fleetData {
	at := v.ComponentsRevision()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total.ByStatus != nil && l.totalAt >= at {
		return l.total
	}
	at = v.ComponentsRevision()
	f := newFleetData()
	for _, n := range v.Components(view.Filter{}) {
		f.add(n.Record)
	}
	l.total, l.totalAt = f, at
	return f
}

// outbox writes a stream to its client.
type outbox struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
}

// unbound lifts the bounds that are for a request: a stream has its own.
func (o *outbox) unbound() {
	// Not every connection has bounds.
	_ = o.control.SetReadDeadline(time.Time{})
}

// event appends one event; data is one line of JSON, and an id of 0 is none.
func (o *outbox) event(kind string, data []byte, id int64) error {
	if id > 0 {
		o.buf = append(o.buf, "id: "...)
		o.buf = strconv.AppendInt(o.buf, id, 10)
		o.buf = append(o.buf, '\n')
	}
	o.buf = append(o.buf, "event: "...)
	o.buf = append(o.buf, kind...)
	o.buf = append(o.buf, "\ndata: "...)
	o.buf = append(o.buf, data...)
	o.buf = append(o.buf, "\n\n"...)
	if len(o.buf) < streamBuffer {
		return nil
	}
	return o.write()
}

// comment says something to nobody.
func (o *outbox) comment(text string) error {
	o.buf = append(o.buf, ": "+text+"\n\n"...)
	return nil
}

// write hands what there is to the connection. A client that does not take it
// in time loses the stream.
func (o *outbox) write() error {
	if err := o.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("bound the writing of a stream: %w", err)
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	if cap(o.buf) > maxBuffer {
		o.buf = nil
	}
	return err
}

// flush sends what there is.
func (o *outbox) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	if err := o.write(); err != nil {
		return err
	}
	return o.control.Flush()
}
