// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"bos/internal/bos"
	"bos/internal/view"
)

const (
	contentTypeStream = "text/event-stream"
	// beat is how often a silent stream says that it is there.
	beat = 15 * time.Second
	// pulse is how often sums are told of at most: of the fleet, and of a session
	// whose nodes go on. All streams have it at the same moments, so that they
	// share what is computed.
	pulse = 500 * time.Millisecond
	// gatherStream is how long changes are gathered.
	gatherStream = 20 * time.Millisecond
	// longestStream is how long a stream lasts: whoever reads it then shows anew
	// who they are, and goes on where they were.
	longestStream = time.Hour
	// streamWrite bounds how long a client may take to take what there is for it.
	streamWrite = 30 * time.Second
	// replayTime bounds how long the store's history is read.
	replayTime = 2 * time.Second
)

// The kinds of things that a stream tells of.
const (
	kindSessions   = "sessions"
	kindComponents = "components"
	kindFleet      = "fleet"
	kindEvents     = "events"
)

// getEvents tells what happened: as a page, or as a stream of what happens.
func (s *server) getEvents(x *exchange) error {
	if !wantsStream(x.r) {
		return s.listEvents(x)
	}
	st, err := s.newStream(x)
	if err != nil {
		return err
	}
	if gate := s.limits.Streams; gate != nil {
		if err := gate.Enter(); err != nil {
			s.refused(limitStreams)
			return err
		}
		defer gate.Leave()
	}
	h := x.w.Header()
	h.Set("Content-Type", contentTypeStream)
	h.Set("Cache-Control", "no-store")
	// Proxies are not to gather what is sent, nor is the compression of answers.
	h.Set("X-Accel-Buffering", "no")
	h.Set(gzhttp.HeaderNoCompression, "1")
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	st.run(x.ctx())
	return nil
}

// wantsStream reports whether a request asks for a stream.
func wantsStream(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for kind := range strings.SplitSeq(accept, ",") {
			if name, _, _ := strings.Cut(kind, ";"); strings.EqualFold(strings.TrimSpace(name), contentTypeStream) {
				return true
			}
		}
	}
	return false
}

// stream is one client that follows what happens.
type stream struct {
	*server
	x *exchange
	// kinds are what is told of. session is the only one of interest, nil for all,
	// and so are nodes.
	kinds   map[string]bool
	session *bos.SessionKey
	nodes   bos.Set
	// within are the tenant's nodes, nil without a tenant.
	within bos.Set

	feed *view.Feed
	out  outbox
	// told is the revision up to which the client knows everything but what is in
	// driven: sessions whose nodes went on.
	told int64
	// eventsAt is the revision of the last event that was told.
	eventsAt int64
	driven   map[bos.SessionKey]struct{}
	// fleetAt is the revision that the sums of the fleet were last told of.
	fleetAt int64
}

// newStream reads what a request wants to follow.
func (s *server) newStream(x *exchange) (*stream, error) {
	st := &stream{
		server: s, x: x, driven: map[bos.SessionKey]struct{}{},
		kinds: map[string]bool{kindSessions: true, kindFleet: true, kindEvents: true},
	}
	if text := x.text("kinds"); text != "" {
		all := []string{kindSessions, kindComponents, kindFleet, kindEvents}
		st.kinds = map[string]bool{}
		for kind := range strings.SplitSeq(text, ",") {
			if !slices.Contains(all, kind) {
				return nil, bos.Errorf(bos.CodeInvalid, "query parameter kinds: %q is none of %s", kind, strings.Join(all, ", "))
			}
			st.kinds[kind] = true
		}
	}
	if name := x.text("session"); name != "" {
		st.session = &bos.SessionKey{Tenant: x.tenant, Name: name}
	}
	var err error
	if st.nodes, err = nodeRange(x); err != nil {
		return nil, err
	}
	if st.within, err = s.nodesOf(x.ctx(), x.tenant); err != nil {
		return nil, err
	}
	st.out = outbox{w: &x.w, control: http.NewResponseController(&x.w)}
	return st, s.sync(x.ctx())
}

// run tells the client what happens until it goes, falls too far behind, or the
// server ends.
func (st *stream) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, longestStream)
	defer cancel()
	st.out.unbound()
	st.feed = st.view.Subscribe(st.interest())
	defer func() { st.feed.Close() }()
	if err := st.begin(ctx); err != nil {
		return
	}
	beats := time.NewTicker(beat)
	defer beats.Stop()
	pulses := time.NewTimer(untilPulse())
	defer pulses.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-st.closing:
			return
		case <-st.feed.C():
			if err = pauseFor(ctx, gatherStream); err == nil {
				err = st.changes()
			}
		case <-pulses.C:
			pulses.Reset(untilPulse())
			err = st.sums()
		case <-beats.C:
			err = st.beat(ctx)
		}
		if err == nil {
			err = st.out.flush()
		}
		if err != nil {
			return
		}
	}
}

// untilPulse returns how long until the next moment at which sums are told.
func untilPulse() time.Duration {
	now := time.Now()
	return now.Truncate(pulse).Add(pulse).Sub(now)
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interest is what the view is to say.
func (st *stream) interest() view.Interest {
	i := view.Interest{
		Sessions: st.kinds[kindSessions], Driven: st.kinds[kindSessions], Events: st.kinds[kindEvents],
	}
	if st.kinds[kindComponents] {
		i.Node = func(old, next *view.Node) bool { return st.shows(old) || st.shows(next) }
	}
	return i
}

// shows reports whether a component is one that the client follows.
func (st *stream) shows(n *view.Node) bool {
	return n != nil && (st.session == nil || n.Record.OwnSession() == *st.session) && st.mayShow(n.ID())
}

func (st *stream) mayShow(id string) bool { return mayTouch(st.within, id) && mayTouch(st.nodes, id) }

// showsSession reports whether a session is one that the client follows.
func (st *stream) showsSession(key bos.SessionKey) bool {
	return (st.x.tenant == "" || key.Tenant == st.x.tenant) && (st.session == nil || key == *st.session)
}

// begin brings the client up to date: with what has changed since it was last
// here, or with everything.
func (st *stream) begin(ctx context.Context) error {
	last := st.x.r.Header.Get("Last-Event-ID")
	if last == "" {
		last = st.x.text("last_event_id")
	}
	if last == "" {
		return st.snapshot("the stream begins")
	}
	after, err := strconv.ParseInt(last, 10, 64)
	if err != nil || after < 0 {
		return st.snapshot("the last event id is none of this stream")
	}
	// Another replica may be ahead of this one.
	if st.view.WaitFor(ctx, after) != nil {
		return st.snapshot("the last event id is not known here")
	}
	at := st.view.Revision()
	st.feed.Take()
	since, ok := st.view.ChangedSince(after)
	if !ok {
		if since, ok = st.replay(ctx, after); !ok {
			return st.snapshot("the last event id is too old")
		}
	}
	st.told, st.eventsAt = after, after
	for _, rec := range st.view.SessionsIn(bos.SessionRunning) {
		since.Sessions = append(since.Sessions, rec.Session.Key())
	}
	if err := st.tell(at, since.Nodes, since.Sessions, true); err != nil {
		return err
	}
	if err := st.tellFleet(true); err != nil {
		return err
	}
	return st.out.flush()
}

// snapshot tells the client to forget what it knows, and everything that there
// is. Its last event alone has an id: who loses the connection before begins
// anew.
func (st *stream) snapshot(reason string) error {
	at := st.view.Revision()
	st.feed.Take()
	st.told, st.eventsAt = at, at
	clear(st.driven)
	messages := []message{{kind: "reset", data: resetData{Reason: reason}}}
	if st.kinds[kindSessions] {
		for _, rec := range st.view.Sessions(st.x.tenant) {
			if key := rec.Session.Key(); st.showsSession(key) {
				messages = append(messages, message{session: &key})
			}
		}
	}
	if st.kinds[kindComponents] {
		for _, n := range st.view.Components(view.Filter{Within: st.within}) {
			if st.shows(n) {
				messages = append(messages, message{node: n})
			}
		}
	}
	if st.kinds[kindFleet] {
		st.fleetAt = st.view.ComponentsRevision()
		messages = append(messages, message{kind: "fleet", data: st.fleet()})
	}
	for i, m := range messages {
		id := int64(0)
		if i == len(messages)-1 {
			id = at
		}
		if err := st.send(m, id); err != nil {
			return err
		}
	}
	return st.out.flush()
}

// changes tells what the view has marked.
func (st *stream) changes() error {
	// What has changed up to this revision is marked; some of what is shown may be
	// newer, and is marked again then.
	at := st.view.Revision()
	c := st.feed.Take()
	if c.Everything {
		return st.snapshot("the service has read its store anew")
	}
	for _, key := range c.Driven {
		if st.showsSession(key) {
			st.driven[key] = struct{}{}
		}
	}
	return st.tell(at, c.Nodes, c.Sessions, c.Events)
}

// tell tells of components, sessions and new events, in the order of their
// revisions. After the last of each revision the client knows everything up to
// that one, as far as at.
func (st *stream) tell(at int64, nodes []string, sessions []bos.SessionKey, events bool) error {
	var messages []message
	if st.kinds[kindComponents] {
		for _, id := range nodes {
			if m, ok := st.aboutNode(id, at); ok {
				messages = append(messages, m)
			}
		}
	}
	if st.kinds[kindSessions] {
		for _, key := range sessions {
			if m, ok := st.aboutSession(key, at); ok {
				messages = append(messages, m)
			}
		}
	}
	if events && st.kinds[kindEvents] {
		happened, ok := st.happened()
		if !ok {
			return st.snapshot("events were forgotten before they could be told")
		}
		messages = append(messages, happened...)
	}
	slices.SortStableFunc(messages, func(a, b message) int { return int(min(1, max(-1, a.revision-b.revision))) })
	for i, m := range messages {
		id := int64(0)
		if m.revision <= at && (i+1 == len(messages) || messages[i+1].revision > m.revision) {
			id = m.revision
		}
		if err := st.send(m, id); err != nil {
			return err
		}
	}
	st.told = max(st.told, at)
	return nil
}

// happened returns the events after those that were told; false if some of
// them are gone.
func (st *stream) happened() ([]message, bool) {
	after := max(st.told, st.eventsAt)
	if st.view.EventsFloor() > after {
		return nil, false
	}
	var out []message
	q := view.EventQuery{After: after, Tenant: st.x.tenant, Session: st.session, Nodes: st.nodes}
	for {
		list, next := st.view.Events(q)
		for _, e := range list {
			out = append(out, message{kind: "event", revision: e.Revision, data: e})
			st.eventsAt = e.Revision
		}
		if next == 0 {
			return out, true
		}
		q.After = next
	}
}

// sums tells of the sessions whose nodes went on, and of the fleet.
func (st *stream) sums() error {
	for key := range st.driven {
		delete(st.driven, key)
		if _, exists := st.view.Session(key); !exists {
			// That it is gone is told for itself.
			continue
		}
		if err := st.send(message{session: &key}, 0); err != nil {
			return err
		}
	}
	return st.tellFleet(false)
}

func (st *stream) tellFleet(anyway bool) error {
	at := st.view.ComponentsRevision()
	if !st.kinds[kindFleet] || at == st.fleetAt && !anyway {
		return nil
	}
	st.fleetAt = at
	return st.send(message{kind: "fleet", data: st.fleet()}, 0)
}

var errTenantChanged = errors.New("the tenant is not what it was")

// beat says that the stream is alive, and looks whether the tenant's nodes are
// still the same.
func (st *stream) beat(ctx context.Context) error {
	if st.x.tenant != "" {
		within, err := st.nodesOf(ctx, st.x.tenant)
		switch {
		case bos.IsUnavailable(err):
		case err != nil:
			return errTenantChanged
		case !sameSet(within, st.within):
			st.feed.Close()
			st.within = within
			st.feed = st.view.Subscribe(st.interest())
			return st.snapshot("the tenant has other nodes now")
		}
	}
	return st.out.comment("alive")
}

func sameSet(a, b bos.Set) bool {
	if len(a) != len(b) {
		return false
	}
	for id := range a {
		if !b.Has(id) {
			return false
		}
	}
	return true
}
