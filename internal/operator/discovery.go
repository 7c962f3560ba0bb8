// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/store"
	"bos/internal/view"
)

// discoveryOperator adds the nodes that HSM knows and BOS does not. It never
// removes one.
type discoveryOperator struct{ *Deps }

// lead implements [role].
func (o *discoveryOperator) lead(ctx context.Context, l store.Leadership) error {
	feed := o.View.Subscribe(view.Interest{Options: true})
	defer feed.Close()
	s := newSweep(o.Deps, decide.RoleDiscovery, feed, func() time.Duration { return o.View.Options().Discovery() },
		func(ctx context.Context) (int, error) { return o.discover(ctx, l) })
	defer o.recovered.subscribe(func(service string) {
		if service == decide.ServiceHSM {
			s.poke()
		}
	})()
	s.loop(ctx)
	return nil
}

func (o *discoveryOperator) discover(ctx context.Context, l store.Leadership) (int, error) {
	nodes, err := o.HSM.Nodes(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask hsm for all nodes: %w", err)
	}
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	fresh := decide.Discovery(ids, func(id string) bool { return o.View.Record(id) != nil })
	if len(fresh) == 0 {
		return 0, nil
	}
	fence := l.Fence()
	result, err := o.Store.UpdateRecords(ctx, store.RecordUpdate{
		IDs: fresh, Read: o.View.Record, Fence: &fence,
		Change: func(id string, old *bos.Record) (*bos.Record, error) {
			if old != nil {
				return nil, nil //nolint:nilnil // somebody else added it
			}
			rec := o.write().Put(nil, bos.Discovered(id))
			return &rec, nil
		},
	})
	found := happenings{}
	for _, rec := range result.Written {
		found.add(decide.DiscoveredHappening(), rec)
	}
	o.tell(found)
	if err != nil {
		return len(result.Written), fmt.Errorf("add new nodes: %w", err)
	}
	o.Log.Info("new nodes were found", slog.String("operator", decide.RoleDiscovery), slog.Int("nodes", len(result.Written)))
	o.settle(ctx, result.Written)
	return len(result.Written), nil
}
