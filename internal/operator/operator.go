// SPDX-License-Identifier: MIT

// Package operator carries out the decisions. Each operator leads in a role of
// its own, so that two processes never both act: it selects the components
// whose turn it is, has package decide decide, records what it is about to do,
// and does it. No operator owns a node: the state in the store says whose turn
// it is, and that is all that a successor needs.
package operator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/events"
	"bos/internal/observe"
	"bos/internal/sessionplan"
	"bos/internal/store"
	"bos/internal/upstream/bss"
	"bos/internal/upstream/call"
	"bos/internal/upstream/cfs"
	"bos/internal/upstream/hsm"
	"bos/internal/upstream/pcs"
	"bos/internal/view"
)

// HSM is what operators ask of the hardware state manager.
type HSM interface {
	sessionplan.HSM
	Locks(ctx context.Context, ids []string) (map[string]hsm.LockState, error)
}

// PCS is what operators ask of power control.
type PCS interface {
	PowerStatus(ctx context.Context, ids []string) (map[string]pcs.Power, error)
	StartTransition(ctx context.Context, op pcs.Operation, ids []string, attempt string) (string, error)
	// Starts says how many nodes one transition may name.
	Starts() *call.Sizer
	Transition(ctx context.Context, id string) (pcs.Transition, error)
	Transitions(ctx context.Context) ([]pcs.Summary, error)
	// Time is what its own clock shows at a moment; false if that is not known.
	Time(at time.Time) (time.Time, bool)
}

// BSS is what operators ask of the boot script service.
type BSS interface {
	PutBootParameters(ctx context.Context, p bss.Params, attempt string) error
	// Puts says how many hosts one request may name.
	Puts() *call.Sizer
}

// CFS is what operators ask of the configuration framework.
type CFS interface {
	Components(ctx context.Context, ids []string) (map[string]cfs.Component, error)
	Patch(ctx context.Context, ids []string, change cfs.Change, attempt string) error
	// Patches says how many nodes one change may name.
	Patches() *call.Sizer
}

// Tagger marks an IMS image.
type Tagger interface {
	Tag(ctx context.Context, id, key, value, attempt string) error
}

// Service tells when a service goes away and comes back.
type Service interface {
	OnChange(f func(call.Health))
}

// Deps is what operators work with. CFS, IMS and Tenants are nil at a site
// without them.
type Deps struct {
	Store   *store.Store
	View    *view.View
	Clock   *clock.Clock
	HSM     HSM
	PCS     PCS
	BSS     BSS
	CFS     CFS
	IMS     Tagger
	Tenants sessionplan.Tenants
	Images  sessionplan.Images
	// Power and Config are this process's looks at nodes; Config is nil
	// without CFS.
	Power  *observe.Observer[decide.Power]
	Config *observe.Observer[decide.Config]
	// Services tell when they answer again, by name; waiting work goes on at once
	// then.
	Services map[string]Service
	// Limits bound how many nodes are switched on.
	Limits decide.PowerLimits
	// Events take what happens, for people; nil takes nothing. EventsBytes and
	// EventsKeep bound what is kept of them, in bytes and age; an age of 0 does not.
	Events      *events.Recorder
	EventsBytes int64
	EventsKeep  time.Duration
	// Holder is the name of this process in elections.
	Holder string
	// Wall is this machine's wall clock, which stamps what people read; nil means
	// time.Now. No wait depends on it.
	Wall func() time.Time
	Log  *slog.Logger
	// Passes is told of every pass, for metrics, and whether it could be finished;
	// Leading of the beginning and the end of every leadership. They may be nil.
	Passes  func(role string, nodes int, took time.Duration, err error)
	Leading func(role string, leading bool)
	// Tracer makes a span of each pass; nil makes none.
	Tracer trace.Tracer

	recovered recoveries
}

// role is one operator: it leads until ctx ends. Everything that it writes goes
// under the fence of its leadership.
type role interface {
	lead(ctx context.Context, l store.Leadership) error
}

func (d *Deps) roles() map[string]role {
	return map[string]role{
		decide.RoleStatus:             &statusOperator{Deps: d},
		decide.RolePowerOn:            newPowerOperator(d, bos.ActionPoweringOn),
		decide.RolePowerOffGraceful:   newPowerOperator(d, bos.ActionPoweringOffGracefully),
		decide.RolePowerOffForceful:   newPowerOperator(d, bos.ActionPoweringOffForcefully),
		decide.RoleConfiguration:      &configurationOperator{Deps: d},
		decide.RoleSessionSetup:       &setupOperator{Deps: d},
		decide.RoleSessionCompletion:  &completionOperator{Deps: d},
		decide.RoleSessionCleanup:     &cleanupOperator{Deps: d},
		decide.RoleDiscovery:          &discoveryOperator{Deps: d},
		decide.RoleActualStateCleanup: &actualStateOperator{Deps: d},
	}
}

// campaignPause is how long a candidate waits before it stands again after an
// election failed or its leadership was lost.
const campaignPause = 200 * time.Millisecond

// Run runs operators by name until ctx ends; unknown names are an error.
func Run(ctx context.Context, d *Deps, names []string) error {
	roles := d.roles()
	for _, name := range names {
		if roles[name] == nil {
			return fmt.Errorf("there is no operator %q; there are %v", name, decide.Roles())
		}
	}
	d.listen()
	var running sync.WaitGroup
	if slices.Contains(names, decide.RoleStatus) {
		running.Go(func() { d.Power.Run(ctx) })
	}
	if d.Config != nil && (slices.Contains(names, decide.RoleStatus) || slices.Contains(names, decide.RoleConfiguration)) {
		running.Go(func() { d.Config.Run(ctx) })
	}
	for _, name := range names {
		running.Go(func() { d.campaign(ctx, name, roles[name]) })
	}
	running.Wait()
	return ctx.Err()
}

// KeepClock stands for keeping the fleet's clock until ctx ends; every process
// does.
func KeepClock(ctx context.Context, d *Deps) { d.campaign(ctx, clock.Role, clockRole{d}) }

type clockRole struct{ *Deps }

// lead implements [role].
func (o clockRole) lead(ctx context.Context, l store.Leadership) error {
	o.Clock.Keep(ctx, o.Store, l, o.Log)
	return nil
}

// campaign stands for a role again and again, and leads while it is elected.
func (d *Deps) campaign(ctx context.Context, name string, r role) {
	log := d.Log.With(slog.String("operator", name))
	select {
	case <-d.View.Ready():
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		l, err := d.Store.Campaign(ctx, name, d.Holder)
		if err == nil {
			log.Info("leading", slog.Int64("fence", l.Fence().Revision))
			d.leads(name, true)
			err = d.term(ctx, l, r)
			d.leads(name, false)
			log.Info("no longer leading")
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Warn("the operator stopped and will be started again", slog.Any("error", err))
		}
		pause(ctx, campaignPause)
	}
}

// resignTimeout bounds the farewell of a leader; its lease ends anyway.
const resignTimeout = 2 * time.Second

// term leads until the leadership is lost or ctx ends.
func (d *Deps) term(ctx context.Context, l store.Leadership, r role) error {
	tctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		rctx, done := context.WithTimeout(context.WithoutCancel(ctx), resignTimeout)
		defer done()
		if err := l.Resign(rctx); err != nil {
			d.Log.Debug("a leadership could not be given up; its lease will run out", slog.Any("error", err))
		}
	}()
	go func() {
		select {
		case <-l.Lost():
			cancel()
		case <-tctx.Done():
		}
	}()
	// What others wrote before this leadership began must be seen before the
	// first pass.
	if err := d.View.Sync(tctx, d.Store); err != nil {
		return fmt.Errorf("catch up with the store: %w", err)
	}
	return r.lead(tctx, l)
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// wall returns what this machine's wall clock shows.
func (d *Deps) wall() time.Time {
	if d.Wall == nil {
		return time.Now()
	}
	return d.Wall()
}

// write returns the context of a write by an operator at this moment.
func (d *Deps) write() bos.Write {
	return bos.Write{Now: d.wall(), Instant: d.Clock.Now(), Tokens: d.View.Token, Open: d.View.OpenSession}
}

// edit is what an operator writes to a component; false leaves it as it is.
type edit func(id string, old bos.Record) (bos.Record, bool)

// change writes components that are still as they were decided upon: one that
// somebody changed meanwhile is left alone, its change brings it back. It
// returns the records that were written.
func (d *Deps) change(ctx context.Context, l store.Leadership, decided map[string]int64, e edit) (map[string]*bos.Record, error) {
	ids := make([]string, 0, len(decided))
	for id := range decided {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return d.touch(ctx, l, ids, nil, func(id string, old bos.Record) (bos.Record, bool) {
		if old.Revision != decided[id] {
			return old, false
		}
		return e(id, old)
	})
}

// touch writes what is known to hold for components however they have changed
// meanwhile. known are records that the caller wrote itself: the view may not
// show them yet, and what is left alone by what it shows would be left alone
// wrongly.
func (d *Deps) touch(
	ctx context.Context, l store.Leadership, ids []string, known map[string]*bos.Record, e edit,
) (map[string]*bos.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	fence := l.Fence()
	result, err := d.Store.UpdateRecords(ctx, store.RecordUpdate{
		IDs: ids, Fence: &fence,
		Read: func(id string) *bos.Record {
			own, seen := known[id], d.View.Record(id)
			if own != nil && (seen == nil || own.Revision > seen.Revision) {
				return own
			}
			return seen
		},
		Change: func(id string, old *bos.Record) (*bos.Record, error) {
			if old == nil {
				return nil, nil //nolint:nilnil // nothing to write
			}
			next, ok := e(id, *old)
			if !ok {
				return nil, nil //nolint:nilnil // nothing to write
			}
			return &next, nil
		},
	})
	return result.Written, err
}

// settle waits until the view shows what was written, so that the next pass
// does not decide on what is over. A view that lags is no error: the pass's own
// write would not go through.
func (d *Deps) settle(ctx context.Context, written map[string]*bos.Record) {
	var revision int64
	for _, rec := range written {
		revision = max(revision, rec.Revision)
	}
	if err := d.View.WaitFor(ctx, revision); err != nil {
		d.Log.Debug("the view lags behind the store", slog.Any("error", err))
	}
}
