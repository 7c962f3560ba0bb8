// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"bos/internal/bos"
	"bos/internal/store"
)

// errUnchanged ends an update that would write what is there already.
var errUnchanged = errors.New("nothing changed")

// unlessUnchanged takes errUnchanged for the success that it is.
func unlessUnchanged(err error) error {
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// changed returns errUnchanged if two documents are stored as the same bytes.
func changed(before, after any) error {
	x, err := store.Encode(before)
	if err != nil {
		return err
	}
	y, err := store.Encode(after)
	if err != nil {
		return err
	}
	if bytes.Equal(x, y) {
		return errUnchanged
	}
	return nil
}

// componentChange says what becomes of a component. old is nil if there is none;
// before is what an earlier round of the same write made of it, nil in the
// first: somebody else wrote it in between. To return nil leaves it as it is.
type componentChange func(id string, old, before *bos.Record) (*bos.Record, error)

// update changes components and returns what each is now, for those that there
// are. One that somebody deletes while it is being changed counts as changed
// first: the answer shows it.
func (s *server) update(ctx context.Context, ids []string, change componentChange) (map[string]*bos.Record, error) {
	now := make(map[string]*bos.Record, len(ids))
	before := make(map[string]*bos.Record, len(ids))
	result, err := s.store.UpdateRecords(ctx, store.RecordUpdate{
		IDs:  ids,
		Read: s.view.Record,
		Change: func(id string, old *bos.Record) (*bos.Record, error) {
			next, err := change(id, old, now[id])
			before[id] = old
			switch {
			case err != nil:
				return nil, err
			case next != nil:
				now[id] = next
			case old != nil:
				delete(now, id)
			}
			if next != nil && old != nil && *next == *old {
				return nil, nil
			}
			return next, nil
		},
	})
	if err != nil {
		return nil, fits(fmt.Errorf("change components: %w", err), "a component")
	}
	s.tellChanges(before, result.Written)
	s.settle(ctx, result.Revision)
	return now, nil
}

// writer returns the context of a write of components.
func (s *server) writer(tenant string) bos.Write {
	return bos.Write{Now: s.now(), Instant: s.clock.Now(), Tenant: tenant, Tokens: s.view.Token, Open: s.view.OpenSession}
}

// once returns the ids in their order, each once.
func once(ids []string) []string {
	seen := make(bos.Set, len(ids))
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if !seen.Has(id) {
			seen.Add(id)
			out = append(out, id)
		}
	}
	return out
}
