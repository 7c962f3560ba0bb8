// SPDX-License-Identifier: MIT

package sessionplan

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/upstream/cfs"
	"bos/internal/upstream/pcs"
	"bos/internal/view"
)

// PCS is asked for the power of the nodes of a dry run.
type PCS interface {
	PowerStatus(ctx context.Context, ids []string) (map[string]pcs.Power, error)
}

// CFS is asked for their configuration.
type CFS interface {
	Components(ctx context.Context, ids []string) (map[string]cfs.Component, error)
}

// Planner makes dry runs of sessions. CFS is nil at a site without it.
type Planner struct {
	Resolver
	PCS   PCS
	CFS   CFS
	View  *view.View
	Clock *clock.Clock
}

// Plan says what a session would do. Nothing is written. Errors are as
// [Resolver.Resolve] has them; a session that would find no nodes is none.
func (p *Planner) Plan(ctx context.Context, s *bos.Session) (bos.SessionPlan, error) {
	sets, warnings, err := p.Resolve(ctx, s, p.View)
	if err != nil {
		return bos.SessionPlan{}, err
	}
	in := decide.DryRunInput{
		Session: s, Sets: sets, Warnings: warnings, Records: map[string]*bos.Record{},
		Running: p.View.OpenSession, Options: p.View.Options(), NoCFS: p.CFS == nil,
		Open: func(rec *bos.Record) bool {
			mark := rec.Sealed.Attempt
			if mark == nil {
				return false
			}
			_, open := p.View.Attempt(mark.ID)
			return open
		},
	}
	var ids []string
	for _, set := range sets {
		for _, rec := range p.View.Records(set.Nodes) {
			id := rec.Component.ID
			if in.Records[id] == nil {
				ids = append(ids, id)
			}
			in.Records[id] = rec
		}
	}
	if len(ids) > 0 && !s.Stage {
		if err := p.look(ctx, ids, &in); err != nil {
			return bos.SessionPlan{}, err
		}
	}
	in.Write = bos.Write{Now: time.Now(), Instant: p.Clock.Now(), Tokens: p.View.Token, Open: p.View.OpenSession}
	return decide.DryRun(in), nil
}

// look asks for the power and the configuration of nodes.
func (p *Planner) look(ctx context.Context, ids []string, in *decide.DryRunInput) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		list, err := p.PCS.PowerStatus(ctx, ids)
		if err != nil {
			return outage(decide.ServicePCS, fmt.Errorf("ask pcs for power: %w", err))
		}
		in.Power = make(map[string]decide.Power, len(list))
		for id, power := range list {
			in.Power[id] = decide.Power{Found: power.Found, State: power.State, Error: power.Error}
		}
		return nil
	})
	if p.CFS != nil {
		g.Go(func() error {
			list, err := p.CFS.Components(ctx, ids)
			if err != nil {
				return outage(decide.ServiceCFS, fmt.Errorf("ask cfs for configurations: %w", err))
			}
			in.Config = make(map[string]decide.Config, len(list))
			for id, c := range list {
				in.Config[id] = decide.Config{Found: true, Desired: c.DesiredConfig, Status: c.ConfigurationStatus}
			}
			return nil
		})
	}
	return g.Wait()
}

// outage makes an outage of a service's refusal: what it refuses is this
// question, which is no fault of the session.
func outage(service string, err error) error {
	if bos.IsUnavailable(err) {
		return err
	}
	return &bos.Error{Code: bos.CodeUnavailable, Dependency: service, Message: bos.UserText(err), Err: err}
}
