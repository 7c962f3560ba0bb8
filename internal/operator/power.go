// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/store"
	"bos/internal/upstream/call"
	"bos/internal/upstream/hsm"
	"bos/internal/upstream/pcs"
	"bos/internal/view"
)

const (
	// maxOnBatch is how many nodes one power-on names. PCS keeps the nodes of an
	// off command reserved until the last of them is off, so those go out in
	// small ones.
	maxOnBatch  = 1000
	maxOffBatch = 50
	// parallelActs is how many commands are prepared and sent at a time.
	parallelActs = 8
	// minPatience and patienceShare are how long, in real time, CFS may leave the
	// command without an answer that tries whether it is back, until another one
	// does: that part of its time-out. It is a little longer than package call
	// waits before it lets one through.
	minPatience   = 2500 * time.Millisecond
	patienceShare = 4
	// farewell is how long commands under way may take once their operator is to
	// end.
	farewell = 3 * time.Second
)

// powerOperator is one of the three operators that send power commands.
type powerOperator struct {
	*Deps
	action   bos.Action
	role     string
	statuses []bos.StatusName
	// power is the state in which a node is due; "" if it does not matter.
	power    string
	batch    int
	decision func(decide.PowerInput) decide.PowerPlan
}

func newPowerOperator(d *Deps, action bos.Action) *powerOperator {
	o := &powerOperator{Deps: d, action: action, batch: maxOffBatch}
	switch action {
	case bos.ActionPoweringOn:
		o.role, o.decision, o.batch, o.power = decide.RolePowerOn, decide.PowerOn, maxOnBatch, pcs.StateOff
		o.statuses = []bos.StatusName{bos.StatusPowerOnPending}
	case bos.ActionPoweringOffGracefully:
		o.role, o.decision = decide.RolePowerOffGraceful, decide.PowerOffGraceful
		o.statuses = []bos.StatusName{bos.StatusPowerOffPending}
	case bos.ActionPoweringOffForcefully:
		o.role, o.decision, o.power = decide.RolePowerOffForceful, decide.PowerOffForceful, pcs.StateOn
		o.statuses = []bos.StatusName{bos.StatusPowerOffGracefullyCalled, bos.StatusPowerOffForcefullyCalled}
	case bos.ActionSessionSetup, bos.ActionApplyStaged, bos.ActionNewlyDiscovered, bos.ActionActualStateCleanup:
	}
	return o
}

// powerTerm is a power operator while it leads.
type powerTerm struct {
	*powerOperator
	l     store.Leadership
	loop  *loop
	gates *gates
	slots chan struct{}
	// actCtx outlives the term's own context by the farewell.
	actCtx context.Context //nolint:containedctx // that of goroutines which the term started
	acts   sync.WaitGroup

	mu sync.Mutex
	// batches is how many batches were started and are not over.
	batches int
	// acting are the attempts that this process is carrying out.
	acting map[string]struct{}
	limits limits
}

// lead implements [role].
func (o *powerOperator) lead(ctx context.Context, l store.Leadership) error {
	feed := o.View.Subscribe(view.Interest{
		Node: func(old, next *view.Node) bool {
			return enabled(next) && o.concerns(next.Status) || o.frees(old, next)
		},
		Options: true, Attempts: true,
	})
	defer feed.Close()
	actCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	t := &powerTerm{
		powerOperator: o, l: l, loop: newLoop(o.Deps, o.role, feed), gates: newGates(o.Clock, o.patience),
		slots: make(chan struct{}, parallelActs), actCtx: actCtx, acting: map[string]struct{}{}, limits: limits{held: newQueue()},
	}
	t.loop.all = func() []string { return o.View.InStatus(o.statuses...) }
	t.loop.pass, t.loop.room, t.loop.freed = t.pass, t.room, t.freed
	defer o.recovered.subscribe(func(service string) {
		t.gates.retry(service)
		t.loop.markAll()
	})()
	var following sync.WaitGroup
	following.Go(func() { t.follow(ctx) })
	t.loop.run(ctx)
	following.Wait()
	// A command that was recorded is better sent and confirmed than left to a
	// successor, unless the leadership is lost.
	stop := time.AfterFunc(farewell, cancel)
	defer stop.Stop()
	go func() {
		select {
		case <-l.Lost():
			cancel()
		case <-actCtx.Done():
		}
	}()
	t.acts.Wait()
	return nil
}

// room returns how many components a pass may be about: as many as there are
// slots for commands. The others wait where each session has its turn.
func (t *powerTerm) room() int {
	return min(maxPass, t.free()*t.batchSize())
}

// free is how many slots for commands there are.
func (t *powerTerm) free() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, parallelActs-t.batches)
}

// batchSize is how many nodes one command may name now.
func (t *powerTerm) batchSize() int { return t.PCS.Starts().Size(t.View.Options().BatchSize(t.batch)) }

// patience is how long others wait for the command that tries a service. What
// CFS is asked in preparation of a boot is never asked twice at the same time
// (package cfs), so that nodes which were asked for before it came back would
// hold up the others for the whole of its time-out. Of the other services, copies
// of requests and signs of life show soon enough that they are back.
func (o *powerOperator) patience(service string) time.Duration {
	if service != decide.ServiceCFS {
		return 0
	}
	timeout := time.Duration(o.View.Options().CFSReadTimeout) * time.Second
	return max(minPatience, timeout/patienceShare)
}

func (o *powerOperator) concerns(s bos.StatusName) bool {
	for _, own := range o.statuses {
		if s == own {
			return true
		}
	}
	return false
}

// pass decides about components whose turn it may be.
func (t *powerTerm) pass(ctx context.Context, ids []string) (map[string]bos.Instant, error) {
	in := t.input(ids)
	if len(in.Nodes) == 0 {
		return nil, nil
	}
	commands, giveUps := in.Candidates(t.decision, t.power)
	// Who has to wait for the limits need not be asked about.
	commands, held, due := t.limit(in, commands)
	all := in
	in = in.Without(held)
	guessed := t.look(ctx, &in, slices.Concat(commands, giveUps))
	plan := t.decision(in)
	if guessed {
		// Without the facts nobody gives up.
		plan.GiveUps = nil
	}
	if err := t.giveUp(ctx, in, plan.GiveUps); err != nil {
		return nil, err
	}
	if err := t.hold(ctx, all, append(plan.Holds, held...)); err != nil {
		return nil, err
	}
	revisions := revisionsOf(in.Nodes)
	since := t.gates.trying(plan.Probed)
	images := newTags()
	for _, b := range plan.Batches {
		t.start(b, revisions, images, func() bool { return t.gates.tried(plan.Probed, since) })
	}
	maps.Copy(due, plan.Due)
	return due, nil
}

// input gathers what the store says of components.
func (t *powerTerm) input(ids []string) decide.PowerInput {
	now, opts := t.Clock.Now(), t.View.Options()
	in := decide.PowerInput{
		Now: now, Options: opts, NoCFS: t.CFS == nil, NoIMS: t.IMS == nil, BatchSize: t.batchSize(), Slots: t.free(),
	}
	in.Away, in.Probes = t.gates.now(now)
	for _, rec := range t.View.Records(ids) {
		if !rec.Component.Enabled.Value() || !t.concerns(rec.Component.StatusNow()) {
			continue
		}
		in.Nodes = append(in.Nodes, decide.PowerNode{Record: rec, Open: t.open(rec), Stopped: t.View.Stopped(rec)})
	}
	return in
}

func revisionsOf(nodes []decide.PowerNode) map[string]int64 {
	out := make(map[string]int64, len(nodes))
	for _, n := range nodes {
		out[n.Record.Component.ID] = n.Record.Revision
	}
	return out
}

// look asks the services what has to be known about candidates. If one is away
// it is in the input's Away, and what could not be asked is guessed, so that
// the candidates wait for that service and for nothing else.
func (t *powerTerm) look(ctx context.Context, in *decide.PowerInput, candidates []string) (guessed bool) {
	wanted := bos.NewSet(candidates...)
	var known map[string]hsm.Node
	var power map[string]pcs.Power
	var locks map[string]hsm.LockState
	if len(candidates) > 0 {
		var err error
		known, err = t.HSM.Query(ctx, candidates, false)
		guessed = !t.answered(in, decide.ServiceHSM, err)
		if t.power != "" {
			power, err = t.PCS.PowerStatus(ctx, candidates)
			guessed = !t.answered(in, decide.ServicePCS, err) || guessed
		}
		locks = t.locks(ctx, in.Nodes, wanted)
	}
	for i := range in.Nodes {
		n := &in.Nodes[i]
		id := n.Record.Component.ID
		if guessed || !wanted.Has(id) {
			// What was not asked must not be what it waits for.
			n.InHSM, n.Power = true, decide.Power{Seen: true, Found: true, State: t.power}
			continue
		}
		_, n.InHSM = known[call.Canonical(id)]
		p := power[id]
		n.Power = decide.Power{Seen: true, Found: p.Found, State: p.State, Error: p.Error}
		lock := locks[call.Canonical(id)]
		n.Reserved = lock.Locked || lock.Reserved
	}
	return guessed
}

// answered notes whether a service answered a question.
func (t *powerTerm) answered(in *decide.PowerInput, service string, err error) bool {
	key := gateKey{service: service}
	if err == nil {
		if t.gates.answered(key, time.Now()) {
			t.tellBack(t.role, service)
			t.loop.markAll()
		}
		return true
	}
	t.Log.Warn("a question to a service failed",
		slog.String("operator", t.role), slog.String("service", service), slog.Any("error", err))
	in.Away[service] = t.gates.failed(key, time.Now(), err)
	return false
}

// locks asks HSM about those candidates that wait for a lock or a reservation
// to be released.
func (t *powerTerm) locks(ctx context.Context, nodes []decide.PowerNode, wanted bos.Set) map[string]hsm.LockState {
	var waiting []string
	for _, n := range nodes {
		if w := n.Record.Sealed.Wait; w != nil && w.On == decide.OnReservation && wanted.Has(n.Record.Component.ID) {
			waiting = append(waiting, n.Record.Component.ID)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	locks, err := t.HSM.Locks(ctx, waiting)
	if err != nil && !errors.Is(err, call.ErrUnsupported) {
		t.Log.Debug("hsm was not able to say what is locked", slog.Any("error", err))
	}
	return locks
}

// giveUp marks components as failed that used up their attempts.
func (t *powerTerm) giveUp(ctx context.Context, in decide.PowerInput, list []decide.GiveUp) error {
	texts := make(map[string]string, len(list))
	decided := make(map[string]int64, len(list))
	all := revisionsOf(in.Nodes)
	for _, g := range list {
		texts[g.ID], decided[g.ID] = g.Text, all[g.ID]
	}
	written, err := t.change(ctx, t.l, decided, func(id string, old bos.Record) (bos.Record, bool) {
		w := t.write()
		patch := bos.Component{Status: bos.Some(bos.Status{StatusOverride: bos.Some(string(bos.StatusFailed))})}
		if text := texts[id]; text != "" {
			patch.Error = bos.Some(text)
		}
		return w.Operate(w.EndWait(old), patch), true
	})
	told := happenings{}
	for _, rec := range written {
		told.add(decide.Happening{Type: bos.EventFailed, Text: rec.Component.Error.Value()}, rec)
	}
	t.tell(told)
	return err
}

// hold notes on components what they wait for, unless they show it already.
func (t *powerTerm) hold(ctx context.Context, in decide.PowerInput, list []decide.HoldNode) error {
	if len(list) == 0 {
		return nil
	}
	waits := make(map[string]bos.Wait, len(list))
	for _, h := range list {
		waits[h.ID] = h.Wait
	}
	decided := make(map[string]int64, len(list))
	for _, n := range in.Nodes {
		id, has := n.Record.Component.ID, n.Record.Sealed.Wait
		wait, is := waits[id]
		if is && (has == nil || has.On != wait.On || has.By != wait.By) {
			decided[id] = n.Record.Revision
		}
	}
	written, err := t.change(ctx, t.l, decided, func(id string, old bos.Record) (bos.Record, bool) {
		return t.write().Await(old, waits[id]), true
	})
	t.tellWaits(written, func(id string) bos.Wait { return waits[id] })
	return err
}

// start carries a batch out as soon as there is a slot for it. It may be the
// one that tries services: tried notes that it is over, and reports whether
// another one may try.
func (t *powerTerm) start(b decide.PowerBatch, revisions map[string]int64, images *tags, tried func() bool) {
	t.loop.hold(b.Nodes)
	t.granted(b.Nodes)
	t.count(1)
	t.acts.Go(func() {
		defer t.loop.release(b.Nodes)
		defer t.count(-1)
		defer func() {
			if tried() {
				t.loop.markAll()
			}
		}()
		select {
		case t.slots <- struct{}{}:
			defer func() { <-t.slots }()
			t.act(t.actCtx, b, revisions, images)
		case <-t.actCtx.Done():
		}
	})
}

func (t *powerTerm) count(batches int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches += batches
}
