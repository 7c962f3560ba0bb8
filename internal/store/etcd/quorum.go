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
	// lateAfter is how long a request goes on that was sent before the members got
	// another leader: what the former one was sent and had not passed on is lost,
	// and nobody would ever answer.
	lateAfter = 500 * time.Millisecond
	// transferTimeout bounds how long a leader that is to end waits for another.
	transferTimeout = 2 * time.Second
)

var (
	errNoLeader = errors.New("its members have no leader: a majority of them can't be reached")
	errNewTerm  = errors.New("its members got another leader meanwhile; whether it was done is not known")
)

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
	// term ends some time after the present leader was followed by another.
	term    context.Context //nolint:containedctx // that of requests under way
	endTerm context.CancelFunc
}

// watchQuorum follows a member until ctx ends.
func watchQuorum(ctx context.Context, server *embed.Etcd, log *slog.Logger) *quorum {
	q := &quorum{server: server, log: log, done: make(chan struct{})}
	q.term, q.endTerm = context.WithCancel(context.Background())
	go func() {
		defer close(q.done)
		defer func() { q.endTerm() }()
		ticker := time.NewTicker(quorumPause)
		defer ticker.Stop()
		told := false
		for {
			changed := q.server.Server.LeaderChangedNotify()
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
			case <-changed:
				q.nextTerm()
			case <-ctx.Done():
				return
			}
		}
	}()
	return q
}

// nextTerm begins a term, and lets what was sent in the former one end soon.
func (q *quorum) nextTerm() {
	q.mu.Lock()
	defer q.mu.Unlock()
	former := q.endTerm
	q.term, q.endTerm = context.WithCancel(context.Background())
	time.AfterFunc(lateAfter, former)
}

// current returns the present term.
func (q *quorum) current() context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.term
}

// handOver lets another member lead the others, if this one does.
func (q *quorum) handOver() {
	s := q.server.Server
	if s.Leader() != s.MemberID() {
		return
	}
	done := make(chan error, 1)
	go func() { done <- s.TryTransferLeadershipOnShutdown() }()
	select {
	case err := <-done:
		if err != nil {
			q.log.Debug("the lead of the members could not be handed over", slog.Any("error", err))
		}
	case <-time.After(transferTimeout):
	}
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
