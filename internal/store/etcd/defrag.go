// SPDX-License-Identifier: MIT

package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bos/internal/bos"
)

// defragTimeout bounds how long one member may take to write its file anew; one
// of 8 GiB takes minutes.
const defragTimeout = 10 * time.Minute

// A member forgets the history in its own time, and only the one that was asked
// to says when it is done: the others are when what they have in use has not
// become less for some looks.
const (
	settleLooks   = 4
	settlePause   = 250 * time.Millisecond
	settleTimeout = time.Minute
)

// Defragmented is what became of a member's file.
type Defragmented struct {
	Name string
	// Before and After are its size in bytes.
	Before, After int64
}

// Defragment forgets the history, has every member write its file anew without
// what is free in it, one after the other and the leader last, and takes back the
// alarm of a store that was full if each has room again. A member answers nothing
// while it does that. The result holds those that are done also with an error.
func (a *Admin) Defragment(ctx context.Context) ([]Defragmented, error) {
	members, err := a.Members(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if !m.Answers {
			return nil, fmt.Errorf("member %x (%s) does not answer; all of them must", m.ID, m.Name)
		}
	}
	if err := a.forget(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(members, func(a, b MemberInfo) int {
		return cmp.Compare(boolToInt(a.Leader), boolToInt(b.Leader))
	})
	var done []Defragmented
	for _, m := range members {
		before, err := a.settle(ctx, m.endpoint)
		if err == nil {
			err = a.defragment(ctx, m.endpoint)
		}
		if err != nil {
			return done, fmt.Errorf("defragment member %x (%s): %w", m.ID, m.Name, err)
		}
		done = append(done, Defragmented{Name: m.Name, Before: before})
	}
	members, err = a.Members(ctx)
	if err != nil {
		return done, err
	}
	for _, m := range members {
		for i := range done {
			if done[i].Name == m.Name {
				done[i].After = m.Bytes
			}
		}
		if m.Quota > 0 && m.Bytes >= m.Quota {
			return done, bos.Errorf(bos.CodeConflict,
				"member %s is still full: its file has %d of %d bytes. Delete what is not needed, or raise its quota and start it again, then try again",
				m.Name, m.Bytes, m.Quota)
		}
	}
	return done, a.disarm(ctx)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forget drops the history before the present revision.
func (a *Admin) forget(ctx context.Context) error {
	revision, err := a.engine.Revision(ctx)
	if err != nil {
		return fmt.Errorf("forget the history: %w", err)
	}
	cctx, cancel := context.WithTimeout(ctx, defragTimeout)
	defer cancel()
	_, err = a.engine.client.Compact(cctx, revision, clientv3.WithCompactPhysical())
	if err = a.engine.wrap(ctx, err); err != nil && !errors.Is(err, errHistoryGone) {
		return fmt.Errorf("forget the history: %w", err)
	}
	return nil
}

// settle waits until a member has forgotten its history, and returns the size of
// its file.
func (a *Admin) settle(ctx context.Context, endpoint string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	least := int64(-1)
	for looks := 0; ; looks++ {
		status, err := a.status(ctx, endpoint)
		if err != nil {
			return 0, a.engine.wrap(ctx, err)
		}
		if least < 0 || status.DbSizeInUse < least {
			least, looks = status.DbSizeInUse, 0
		}
		if looks >= settleLooks {
			return status.DbSize, nil
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (a *Admin) defragment(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, defragTimeout)
	defer cancel()
	_, err := a.engine.client.Defragment(ctx, endpoint)
	return a.engine.wrap(ctx, err)
}

// disarm takes back the alarms of members that were full.
func (a *Admin) disarm(ctx context.Context) error {
	list, err := a.engine.client.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("list the alarms: %w", a.engine.wrap(ctx, err))
	}
	for _, alarm := range list.Alarms {
		if _, err := a.engine.client.AlarmDisarm(ctx, (*clientv3.AlarmMember)(alarm)); err != nil {
			return fmt.Errorf("take back the alarm %s of member %x: %w", alarm.Alarm, alarm.MemberID, a.engine.wrap(ctx, err))
		}
	}
	return nil
}
