// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/store"
	"bos/internal/upstream/call"
	"bos/internal/upstream/pcs"
)

const (
	// maxRecordAge is how old the record of a command may be when it goes out
	// (2-operators.md, invariant 1), on the monotonic clock.
	maxRecordAge = 5 * time.Second
	// renewAfter is the age at which a record is made anew before the command
	// goes out, because the preparations took long.
	renewAfter = 3 * time.Second
	// writeTimeout bounds the writes by which the outcome of a command is noted.
	writeTimeout = 10 * time.Second
)

// Why a command is not carried on. None of these is an attempt.
var (
	errNotLeading   = &call.Error{Kind: call.Canceled, Err: errors.New("the leadership is over")}
	errGoalReplaced = &call.Error{Kind: call.Canceled, Err: errors.New("nodes were given another goal, or their session was stopped")}
)

// act is a command under way.
type act struct {
	bos.Attempt
	batch decide.PowerBatch
	// recorded is the time right before the record was written.
	recorded time.Time
	// asked is when the last effect was asked for.
	asked time.Time
	// nodes are the components, as they were recorded, for which the command is
	// still to be sent.
	nodes map[string]*bos.Record
	// tokens are the BSS tokens of the batch's boot groups.
	tokens []string
	// tags are the images that the pass has had projected.
	tags *tags
}

// still returns those of some nodes for which the command is still to be sent.
func (a *act) still(ids []string) []string {
	var out []string
	for _, id := range ids {
		if a.nodes[id] != nil {
			out = append(out, id)
		}
	}
	return out
}

// act carries out a batch: it records the attempt, prepares what the nodes
// boot, sends the command, and notes what came of it.
func (t *powerTerm) act(ctx context.Context, b decide.PowerBatch, revisions map[string]int64, images *tags) {
	a := &act{batch: b, tags: images, Attempt: bos.Attempt{ID: uuid.NewString(), Action: t.action, Fence: t.l.Fence().Revision}}
	t.mu.Lock()
	t.acting[a.ID] = struct{}{}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.acting, a.ID)
	}()
	if err := t.record(ctx, a, revisions); err != nil {
		t.Log.Warn("a command was not recorded, and is not sent", slog.String("operator", t.role), slog.Any("error", err))
		return
	}
	if t.action == bos.ActionPoweringOn {
		t.prepare(ctx, a)
	}
	t.send(ctx, a)
	t.tell(happenings{decide.SentHappening(t.action): slices.Collect(maps.Values(a.nodes))})
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := t.confirm(wctx, a); err != nil {
		t.Log.Warn("the outcome of a command was not noted; it will be found out", slog.String("operator", t.role), slog.Any("error", err))
	}
}

// record writes down what is about to be done, before it is done: the tokens,
// the attempt, and the attempt's mark on each node that is still as it was
// decided upon.
func (t *powerTerm) record(ctx context.Context, a *act, revisions map[string]int64) error {
	tokens, err := t.storeTokens(ctx, a)
	if err != nil {
		return err
	}
	fence := t.l.Fence()
	a.recorded = time.Now()
	a.Nodes, a.RecordedAt, a.RecordedWall = a.batch.Nodes, t.Clock.Now(), t.pcsTime(a.recorded)
	if _, err := t.Store.PutDoc(ctx, store.AttemptKey(a.ID), a.Attempt, &fence); err != nil {
		return fmt.Errorf("record attempt %s: %w", a.ID, err)
	}
	decided := make(map[string]int64, len(a.Nodes))
	for _, id := range a.Nodes {
		decided[id] = revisions[id]
	}
	a.nodes, err = t.change(ctx, t.l, decided, func(id string, old bos.Record) (bos.Record, bool) {
		var extra bos.Component
		if token := tokens[id]; token != "" {
			extra.DesiredState = bos.Some(bos.DesiredState{BSSToken: bos.Some(token)})
		}
		rec := t.write().BeginAttempt(old, t.action, a.ID, extra)
		if text := a.batch.Refused[id]; text != "" {
			rec.Component.Error = bos.Some(text)
		}
		return rec, true
	})
	if err != nil {
		return fmt.Errorf("record attempt %s on its nodes: %w", a.ID, err)
	}
	told := happenings{}
	for id, text := range a.batch.Refused {
		told.add(decide.Happening{Type: bos.EventRefused, Text: text}, a.nodes[id])
		delete(a.nodes, id)
	}
	t.tell(told)
	return nil
}

// tokenSpace is the name space of BSS tokens that are derived from artifacts.
var tokenSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:bos:boot-artifacts"))

// tokenOf derives the BSS token of boot artifacts: the same for the same ones.
func tokenOf(artifacts bos.BootArtifacts) string {
	name := artifacts.Kernel.Value() + "\x00" + artifacts.KernelParameters.Value() + "\x00" + artifacts.Initrd.Value()
	return uuid.NewSHA1(tokenSpace, []byte(name)).String()
}

// tokenFresh is how long a token need not be stored again.
const tokenFresh = 10 * time.Minute

// storeTokens stores what the tokens of the batch stand for, and returns each
// node's.
func (t *powerTerm) storeTokens(ctx context.Context, a *act) (map[string]string, error) {
	fence := t.l.Fence()
	byNode := map[string]string{}
	for _, g := range a.batch.Boots {
		token := tokenOf(g.Artifacts)
		a.tokens = append(a.tokens, token)
		for _, id := range g.Nodes {
			byNode[id] = token
		}
		now := t.Clock.Now()
		if old, ok := t.View.TokenDoc(token); ok && now.Sub(old.UsedAt) < tokenFresh {
			continue
		}
		doc := store.Token{BootArtifacts: g.Artifacts, UsedAt: now}
		if _, err := t.Store.PutDoc(ctx, store.TokenKey(token), doc, &fence); err != nil {
			return nil, fmt.Errorf("store BSS token: %w", err)
		}
	}
	return byNode, nil
}

// guard returns the context of the next effect of a command on some nodes, for
// which there is leave. If the effect has to be asked for once more, because
// there is no answer, leave is needed again.
func (t *powerTerm) guard(ctx context.Context, a *act, ids []string) (context.Context, error) {
	leave := func(ctx context.Context) (time.Time, error) { return t.leave(ctx, a, ids) }
	until, err := leave(ctx)
	if err != nil {
		return nil, err
	}
	a.asked = time.Now()
	return call.SendBefore(ctx, until, leave), nil
}

// leave returns until when an effect of a command on some nodes may go out: the
// nodes still have the goal that was recorded, this process leads, and the record
// of the command counts until then; it is made anew if it is not fresh.
func (t *powerTerm) leave(ctx context.Context, a *act, ids []string) (time.Time, error) {
	// What is known to be over needs no fresh record.
	t.dropReplaced(a)
	if len(a.still(ids)) == len(ids) && time.Since(a.recorded) > renewAfter {
		if err := t.renew(ctx, a); err != nil {
			return time.Time{}, &call.Error{Kind: call.Canceled, Err: err}
		}
	}
	if len(a.still(ids)) < len(ids) {
		return time.Time{}, errGoalReplaced
	}
	if !t.l.Alive() {
		return time.Time{}, errNotLeading
	}
	return a.recorded.Add(maxRecordAge), nil
}

// send sends the command for all nodes that are ready for it.
func (t *powerTerm) send(ctx context.Context, a *act) {
	if !t.pace(ctx, len(a.nodes)) {
		t.outcome(a, decide.ServicePCS, call.Result{Untried: a.still(a.Nodes), Away: ctx.Err()})
		return
	}
	t.dropReplaced(a)
	result := t.PCS.Starts().Bisect(ctx, a.still(a.Nodes), func(ctx context.Context, part []string) error {
		ctx, err := t.guard(ctx, a, part)
		if err != nil {
			return err
		}
		id, err := t.PCS.StartTransition(ctx, pcs.Operation(t.action.Operation()), part, a.ID)
		var failed *call.Error
		switch {
		case err == nil:
			a.Transitions = append(a.Transitions, id)
		case errors.As(err, &failed) && failed.MaybeDone:
			// Whether these were sent has to be found out before they are sent again.
			a.Unsure = append(a.Unsure, part...)
		}
		return err
	})
	unsure := bos.NewSet(a.Unsure...)
	result.Untried = slices.DeleteFunc(result.Untried, unsure.Has)
	t.outcome(a, decide.ServicePCS, result)
}

// renew makes the record of a command anew, and looks which nodes have the goal
// still: whatever was written before the new record shows.
func (t *powerTerm) renew(ctx context.Context, a *act) error {
	now := time.Now()
	fence := t.l.Fence()
	a.RecordedAt, a.RecordedWall = t.Clock.Now(), t.pcsTime(now)
	revision, err := t.Store.PutDoc(ctx, store.AttemptKey(a.ID), a.Attempt, &fence)
	if err != nil {
		return fmt.Errorf("renew attempt %s: %w", a.ID, err)
	}
	if err := t.View.WaitFor(ctx, revision); err != nil {
		return fmt.Errorf("renew attempt %s: %w", a.ID, err)
	}
	a.recorded = now
	t.dropReplaced(a)
	return nil
}

// pcsTime returns what PCS's clock shows at a moment, by which its transitions
// are told from earlier ones; this machine's if that is not known.
func (t *powerTerm) pcsTime(at time.Time) time.Time {
	if shown, ok := t.PCS.Time(at); ok {
		return shown.UTC()
	}
	return t.wall().UTC()
}

// dropReplaced drops the nodes that were given another goal than the one that
// was recorded, and those whose session is paused or cancelled. For these the
// attempt was none.
func (t *powerTerm) dropReplaced(a *act) {
	var gone []string
	for _, id := range a.still(a.Nodes) {
		was, is := a.nodes[id], t.View.Record(id)
		// A view that does not show the record yet shows nothing newer either.
		if is == nil || is.Revision > was.Revision && !sameGoal(was, is) || t.View.Stopped(is) {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 {
		t.outcome(a, decide.ServicePCS, call.Result{Untried: gone})
	}
}

// sameGoal reports whether an attempt on a node is still for the goal that the
// node has.
func sameGoal(was, is *bos.Record) bool {
	a, b := was.Component.DesiredState.Value(), is.Component.DesiredState.Value()
	return is.Component.Enabled.Value() && is.Sealed.ActionAt == was.Sealed.ActionAt &&
		a.BootArtifacts == b.BootArtifacts && a.Configuration == b.Configuration
}

// outcome notes on the nodes what a service made of them: refused ones keep the
// attempt and show why, for untried ones it was none.
func (t *powerTerm) outcome(a *act, service string, r call.Result) {
	key := gateKey{service, true}
	wait := bos.Wait{}
	switch {
	case r.Away == nil:
		if (len(r.Accepted) > 0 || len(r.Refused) > 0) && t.gates.answered(key, a.asked) {
			t.tellBack(t.role, service)
			t.loop.markAll()
		}
	case call.IsAway(r.Away):
		away := t.gates.failed(key, a.asked, r.Away)
		t.Log.Warn("a command waits for a service", slog.String("operator", t.role), slog.String("service", service),
			slog.Int("nodes", len(r.Untried)), slog.Any("error", r.Away))
		wait = bos.Wait{By: t.role, On: service, Due: away.Next, Text: away.Text}
		t.loop.markAll()
	default:
		t.Log.Info("a command was not sent", slog.String("operator", t.role), slog.Any("reason", r.Away))
	}
	ids := slices.Clone(r.Untried)
	for id := range r.Refused {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.actCtx), writeTimeout)
	defer cancel()
	written, err := t.touch(ctx, t.l, ids, a.nodes, func(id string, old bos.Record) (bos.Record, bool) {
		if refusal := r.Refused[id]; refusal != nil {
			return t.write().Refuse(old, a.ID, bos.UserText(refusal))
		}
		return t.write().Withdraw(old, a.ID, wait)
	})
	if err != nil {
		t.Log.Warn("what a service said was not noted; it will be found out", slog.String("operator", t.role), slog.Any("error", err))
		a.Unsure = append(a.Unsure, ids...)
	}
	told := happenings{}
	for id, rec := range written {
		switch refusal := r.Refused[id]; {
		case refusal != nil:
			told.add(decide.Happening{Type: bos.EventRefused, Text: bos.UserText(refusal)}, rec)
		case wait.On != "":
			told.add(decide.WaitHappening(wait), rec)
		}
	}
	t.tell(told)
	for _, id := range ids {
		delete(a.nodes, id)
	}
}

// confirm notes the transitions of a command, or that there is none.
func (t *powerTerm) confirm(ctx context.Context, a *act) error {
	fence := t.l.Fence()
	key := store.AttemptKey(a.ID)
	if len(a.Transitions) == 0 && len(a.Unsure) == 0 {
		return t.drop(ctx, a.ID)
	}
	// All nodes of the record stay in it: those that were refused may be looked
	// at again once the command is over.
	revision, err := t.Store.PutDoc(ctx, key, a.Attempt, &fence)
	if err != nil {
		return fmt.Errorf("confirm attempt %s: %w", a.ID, err)
	}
	return t.View.WaitFor(ctx, revision)
}

// drop forgets attempts whose commands are over.
func (t *powerTerm) drop(ctx context.Context, ids ...string) error {
	fence := t.l.Fence()
	var last int64
	for part := range slices.Chunk(ids, store.MaxOps) {
		ops := make([]store.Op, len(part))
		for i, id := range part {
			ops[i] = store.Op{Key: store.AttemptKey(id), Delete: true, Expect: store.AnyRevision}
		}
		revision, err := t.Store.Commit(ctx, store.Txn{Ops: ops, Fence: &fence})
		if err != nil {
			return fmt.Errorf("forget attempts from %s on: %w", part[0], err)
		}
		last = revision
	}
	return t.View.WaitFor(ctx, last)
}
