// SPDX-License-Identifier: MIT

package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/etcd"
	"bos/test/port"
)

// address returns a free address of this host.
func address(t *testing.T) string {
	t.Helper()
	return port.Address(t)
}

func newMember(t *testing.T, name string) etcd.Embedded {
	t.Helper()
	return etcd.Embedded{
		Dir: t.TempDir(), ThrowAway: true, LeaseTTL: time.Second,
		Member: &etcd.Member{Name: name, PeerListen: address(t), ClientListen: address(t)},
	}
}

func start(t *testing.T, c etcd.Embedded) *etcd.Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e, err := etcd.OpenEmbedded(ctx, c)
	if err != nil {
		t.Fatalf("start %s: %v", c.Dir, err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func write(t *testing.T, e store.Engine, key string) int64 {
	t.Helper()
	revision, err := e.Commit(t.Context(), store.Txn{Ops: []store.Op{{Key: key, Value: []byte("x"), Expect: store.Absent}}})
	if err != nil {
		t.Fatalf("write %s: %v", key, err)
	}
	return revision
}

// eventually repeats a check until it holds; the test fails if it never does.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// three starts a cluster of three members at once.
func three(t *testing.T) (configs []etcd.Embedded, engines []*etcd.Engine) {
	t.Helper()
	return threeWith(t, time.Second)
}

// threeWith is three with another time that leases live.
func threeWith(t *testing.T, ttl time.Duration) (configs []etcd.Embedded, engines []*etcd.Engine) {
	t.Helper()
	t.Parallel()
	var initial []string
	for i := range 3 {
		c := newMember(t, fmt.Sprintf("m%d", i))
		c.LeaseTTL = ttl
		configs = append(configs, c)
		initial = append(initial, c.Member.Name+"="+c.Member.PeerListen)
	}
	var starting errgroup.Group
	engines = make([]*etcd.Engine, len(configs))
	for i, c := range configs {
		c.Member.Initial = initial
		starting.Go(func() (err error) {
			engines[i], err = etcd.OpenEmbedded(t.Context(), c)
			return err
		})
	}
	err := starting.Wait()
	for _, e := range engines {
		if e != nil {
			t.Cleanup(func() { _ = e.Close() })
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return configs, engines
}

func admin(t *testing.T, members ...etcd.Embedded) *etcd.Admin {
	t.Helper()
	var endpoints []string
	for _, c := range members {
		endpoints = append(endpoints, "http://"+c.Member.ClientListen)
	}
	a, err := etcd.OpenAdmin(t.Context(), etcd.Remote{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func TestMembersJoin(t *testing.T) {
	t.Parallel()
	first := newMember(t, "m0")
	e := start(t, first)
	write(t, e, "/bos/before")
	// Two that want to join at the same moment take turns.
	var joining errgroup.Group
	engines := []*etcd.Engine{e, nil, nil}
	for i := range 2 {
		c := newMember(t, fmt.Sprintf("m%d", i+1))
		c.Member.Join = []string{first.Member.ClientListen}
		joining.Go(func() error {
			var err error
			engines[i+1], err = etcd.OpenEmbedded(t.Context(), c)
			return err
		})
	}
	if err := joining.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, e := range engines[1:] {
		t.Cleanup(func() { _ = e.Close() })
	}
	revision := write(t, engines[2], "/bos/after")
	for i, e := range engines {
		if got, err := e.Revision(t.Context()); err != nil || got < revision {
			t.Errorf("member %d is at revision %d, %v", i, got, err)
		}
		if _, local := e.LocalRevision(); local {
			t.Errorf("member %d vouches alone for the whole cluster", i)
		}
		kvs, _, err := e.List(t.Context(), "/bos/")
		if err != nil || len(kvs) != 2 {
			t.Errorf("member %d has %v, %v", i, kvs, err)
		}
	}
	members, err := admin(t, first).Members(t.Context())
	if err != nil || len(members) != 3 {
		t.Fatalf("members: %+v, %v", members, err)
	}
	leaders := 0
	for i, m := range members {
		if m.Name != fmt.Sprintf("m%d", i) || m.Learner || !m.Answers || m.Bytes == 0 {
			t.Errorf("member: %+v", m)
		}
		if m.Leader {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders: %+v", leaders, members)
	}
}

func TestInitialMembers(t *testing.T) {
	configs, engines := three(t)
	write(t, engines[1], "/bos/a")
	stranger := newMember(t, "m9")
	stranger.Member.Initial = configs[0].Member.Initial
	if _, err := etcd.OpenEmbedded(t.Context(), stranger); err == nil || !strings.Contains(err.Error(), "not among the first members") {
		t.Errorf("a stranger: %v", err)
	}
}

// A member that was lost with its data is removed and replaced by an empty one.
func TestReplaceMember(t *testing.T) {
	configs, engines := three(t)
	write(t, engines[0], "/bos/a")
	if err := engines[2].Close(); err != nil {
		t.Fatal(err)
	}
	lost := configs[2]
	lost.Dir = t.TempDir()
	if _, err := etcd.OpenEmbedded(t.Context(), lost); err == nil || !strings.Contains(err.Error(), "bosd cluster remove") {
		t.Fatalf("the empty folder of a first member: %v", err)
	}
	lost.Member.Initial = nil
	lost.Member.Join = []string{configs[0].Member.ClientListen, configs[1].Member.ClientListen}
	if _, err := etcd.OpenEmbedded(t.Context(), lost); err == nil || !strings.Contains(err.Error(), "bosd cluster remove") {
		t.Fatalf("the empty folder of a member that had data: %v", err)
	}
	cluster := admin(t, configs[0], configs[1])
	members, err := cluster.Members(t.Context())
	if err != nil || len(members) != 3 || members[2].Answers {
		t.Fatalf("members: %+v, %v", members, err)
	}
	// A cluster that is not well for some seconds yet changes nothing.
	eventually(t, "remove a member", func() error { return cluster.RemoveMember(t.Context(), members[2].ID) })
	if err := cluster.RemoveMember(t.Context(), members[2].ID); !bos.IsNotFound(err) {
		t.Errorf("removed twice: %v", err)
	}
	replaced := start(t, lost)
	kvs, _, err := replaced.List(t.Context(), "/bos/")
	if err != nil || len(kvs) != 1 {
		t.Errorf("the new member has %v, %v", kvs, err)
	}
	write(t, replaced, "/bos/b")
}

// A member that was removed says so and ends.
func TestRemovedMemberStops(t *testing.T) {
	configs, engines := three(t)
	cluster := admin(t, configs[0])
	members, err := cluster.Members(t.Context())
	if err != nil || len(members) != 3 {
		t.Fatalf("members: %+v, %v", members, err)
	}
	eventually(t, "remove a member", func() error { return cluster.RemoveMember(t.Context(), members[1].ID) })
	select {
	case <-engines[1].Stopped():
	case <-time.After(30 * time.Second):
		t.Fatal("the member goes on")
	}
	// It may have been the one that led the others.
	eventually(t, "write without it", func() error {
		_, err := engines[0].Commit(t.Context(), store.Txn{Ops: []store.Op{{Key: "/bos/a", Expect: store.AnyRevision}}})
		return err
	})
}

// Without a majority nothing is answered and nothing is written, and it is said
// soon; with one again everything goes on.
func TestMinority(t *testing.T) {
	configs, engines := three(t)
	l, err := engines[0].Campaign(t.Context(), "status", engines[0].NewHolder())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 2} {
		if err := engines[i].Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the member noticed nothing", func() error {
		if _, err := engines[0].Revision(t.Context()); !bos.IsUnavailable(err) {
			return fmt.Errorf("a read: %w", err)
		}
		return nil
	})
	fence := l.Fence()
	if _, err := engines[0].Commit(t.Context(), store.Txn{Ops: []store.Op{{Key: "/bos/a"}}, Fence: &fence}); !bos.IsUnavailable(err) {
		t.Errorf("a write: %v", err)
	}
	eventually(t, "the leader goes on", func() error {
		if l.Alive() {
			return errors.New("alive")
		}
		return nil
	})
	again := start(t, configs[1])
	eventually(t, "the majority is back", func() error {
		_, err := engines[0].Revision(t.Context())
		return err
	})
	write(t, again, "/bos/b")
}

// One member that was alone becomes the first of a cluster, with one restart.
func TestLoneStoreGrows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lone := open(t, dir)
	write(t, lone, "/bos/a")
	if err := lone.Close(); err != nil {
		t.Fatal(err)
	}
	first := newMember(t, "m0")
	first.Dir = dir
	e := start(t, first)
	second := newMember(t, "m1")
	second.Member.Join = []string{first.Member.ClientListen}
	other := start(t, second)
	if _, err := other.Get(t.Context(), "/bos/a"); err != nil {
		t.Errorf("the second member does not have it: %v", err)
	}
	write(t, e, "/bos/b")
}

// Of a cluster that has lost its majority for ever, one member goes on alone.
func TestRecover(t *testing.T) {
	configs, engines := three(t)
	write(t, engines[0], "/bos/a")
	for _, e := range engines {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c := configs[2]
	c.Recover = true
	e := start(t, c)
	if _, err := e.Get(t.Context(), "/bos/a"); err != nil {
		t.Errorf("what was written before: %v", err)
	}
	write(t, e, "/bos/b")
	if members, err := admin(t, c).Members(t.Context()); err != nil || len(members) != 1 {
		t.Errorf("members: %+v, %v", members, err)
	}
}

// A leader that gives no sign of life is followed by another, and it can't come
// back, however late it wakes up.
func TestFrozenLeader(t *testing.T) {
	_, engines := three(t)
	frozen := engines[1]
	old, err := frozen.Campaign(t.Context(), "power-on", frozen.NewHolder())
	if err != nil {
		t.Fatal(err)
	}
	frozen.Freeze()
	next, err := engines[2].Campaign(t.Context(), "power-on", engines[2].NewHolder())
	if err != nil {
		t.Fatal(err)
	}
	if old.Alive() {
		t.Error("the former leader would act when somebody else leads")
	}
	fence := old.Fence()
	if _, err := frozen.Commit(t.Context(), store.Txn{Ops: []store.Op{{Key: "/bos/a"}}, Fence: &fence}); !bos.IsConflict(err) {
		t.Errorf("a write of the former leader: %v", err)
	}
	frozen.Thaw()
	select {
	case <-old.Lost():
	case <-time.After(30 * time.Second):
		t.Error("the former leader does not know")
	}
	if old.Alive() || !next.Alive() {
		t.Errorf("former leader alive: %v, leader alive: %v", old.Alive(), next.Alive())
	}
	// The process that was frozen may stand again.
	if err := next.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := frozen.Campaign(t.Context(), "power-on", frozen.NewHolder())
	if err != nil || !again.Alive() {
		t.Errorf("standing again: %v", err)
	}
}

// The suite holds for a member among others and for a client of the cluster.
func TestClientOfMembers(t *testing.T) {
	configs, _ := three(t)
	var endpoints []string
	for _, c := range configs {
		endpoints = append(endpoints, "http://"+c.Member.ClientListen)
	}
	e, err := etcd.OpenRemote(t.Context(), etcd.Remote{Endpoints: endpoints, LeaseTTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	write(t, e, "/bos/a")
	l, err := e.Campaign(t.Context(), "status", e.NewHolder())
	if err != nil || !l.Alive() {
		t.Errorf("%v", err)
	}
}
