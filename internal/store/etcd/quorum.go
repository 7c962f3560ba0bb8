// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"bos/internal/bos"
)

const (
	// leaderPatience is how long a request waits for the members to elect a
	// leader; that takes one to two seconds when a leader dies.
	leaderPatience = 3 * time.Second
	// quorumPause is how often it is looked whether there is a leader.
	quorumPause = 250 * time.Millisecond
)

var errNoLeader = errors.New("its members have no leader: a majority of them can't be reached")

// quorum knows since when a member has been without a leader, so that requests
// to a member that is cut off from the majority fail soon and not each after
// its whole time-out.
type quorum struct {
	server *embed.Etcd
	log    *slog.Logger
	done   chan struct{}

	mu sync.Mutex
	// since is when the leader was missed first; the zero value while there is
	// one.
	since time.Time
}

// watchQuorum follows a member until ctx ends.
func watchQuorum(ctx context.Context, server *embed.Etcd, log *slog.Logger) *quorum {
	q := &quorum{server: server, log: log, done: make(chan struct{})}
	go func() {
		defer close(q.done)
		ticker := time.NewTicker(quorumPause)
		defer ticker.Stop()
		told := false
		for {
			missing := q.missing()
			switch {
			case missing > leaderPatience && !told:
				told = true
				q.log.Warn("the store is away", slog.Any("error", errNoLeader))
			case missing == 0 && told:
				told = false
				q.log.Info("the store is back: its members have a leader")
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return q
}

// missing returns how long there has been no leader; 0 if there is one.
func (q *quorum) missing() time.Duration {
	has := q.server.Server.Leader() != 0
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case has:
		q.since = time.Time{}
		return 0
	case q.since.IsZero():
		q.since = time.Now()
	}
	return max(1, time.Since(q.since))
}

// await waits until there is a leader; not long, and not at all if there has
// been none for long.
func (q *quorum) await(ctx context.Context) error {
	for {
		changed := q.server.Server.LeaderChangedNotify()
		missing := q.missing()
		if missing == 0 {
			return nil
		}
		if missing >= leaderPatience {
			return bos.Unavailable("store", errNoLeader)
		}
		timer := time.NewTimer(leaderPatience - missing)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}
