// SPDX-License-Identifier: MIT

package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"bos/internal/bos"
)

// MemberInfo is what is known of a member of the cluster.
type MemberInfo struct {
	ID uint64
	// Name is "" for a member that was added and has not started yet.
	Name                 string
	PeerURLs, ClientURLs []string
	// Learner is a member that has no vote yet.
	Learner bool
	// Leader is the one through which all writes go.
	Leader bool
	// Answers says whether the member could be asked for the rest; one without
	// addresses for clients can't.
	Answers bool
	// Bytes is the size of its file, InUse what of it is in use, Quota how large
	// it may become.
	Bytes, InUse, Quota int64
	// Applied is how far it is: the number of the last entry of the common log
	// that it has carried out.
	Applied uint64
	// Alarms say what is wrong, such as NOSPACE.
	Alarms []string

	// endpoint is where it answered.
	endpoint string
}

// statusTimeout bounds how long one member may take to say how it is.
const statusTimeout = 2 * time.Second

// Admin looks after the members of a cluster, from outside of it.
type Admin struct{ engine *Engine }

// OpenAdmin connects to a cluster. It fails if the cluster does not answer.
func OpenAdmin(ctx context.Context, c Remote) (*Admin, error) {
	engine, err := OpenRemote(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Admin{engine}, nil
}

// Close ends the connection.
func (a *Admin) Close() error { return a.engine.Close() }

// Members lists the members of the cluster, ordered by name.
func (a *Admin) Members(ctx context.Context) ([]MemberInfo, error) {
	var list *clientv3.MemberListResponse
	err := a.engine.members(ctx, func(ctx context.Context) (err error) {
		list, err = a.engine.client.MemberList(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", a.engine.wrap(ctx, err))
	}
	infos := make([]MemberInfo, 0, len(list.Members))
	var leader uint64
	for _, m := range list.Members {
		info := MemberInfo{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: reachable(m), Learner: m.IsLearner}
		// One without addresses for clients may be the one that answers here.
		for _, endpoint := range slices.Concat(info.ClientURLs, a.engine.client.Endpoints()) {
			status, err := a.status(ctx, endpoint)
			if err != nil || status.Header.MemberId != m.ID {
				continue
			}
			info.Answers, info.Bytes, info.InUse, info.Applied = true, status.DbSize, status.DbSizeInUse, status.RaftAppliedIndex
			info.Alarms, info.Quota, info.endpoint = status.Errors, status.DbSizeQuota, endpoint
			leader = status.Leader
			break
		}
		infos = append(infos, info)
	}
	for i := range infos {
		infos[i].Leader = leader != 0 && infos[i].ID == leader
	}
	slices.SortFunc(infos, func(a, b MemberInfo) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return infos, nil
}

// reachable returns the addresses of a member for clients, without the one that
// stands for none.
func reachable(m *etcdserverpb.Member) []string {
	return slices.DeleteFunc(slices.Clone(m.ClientURLs), func(u string) bool { return u == loneURL })
}

func (a *Admin) status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return a.engine.client.Status(ctx, endpoint)
}

// AddMember prepares the cluster for a member that will come up at an address
// for its peers, host:port; it learns first and gets its vote by PromoteMember,
// or by itself when it joins with Join.
func (a *Admin) AddMember(ctx context.Context, address string) (uint64, error) {
	var id uint64
	err := a.engine.members(ctx, func(ctx context.Context) error {
		list, err := a.engine.client.MemberList(ctx)
		if err != nil {
			return err
		}
		scheme := "http"
		for _, m := range list.Members {
			for _, u := range m.PeerURLs {
				scheme, _, _ = strings.Cut(u, "://")
			}
		}
		resp, err := a.engine.client.MemberAddAsLearner(ctx, []string{scheme + "://" + address})
		if err == nil {
			id = resp.Member.ID
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add a member at %s: %w", address, a.engine.refusal(ctx, err))
	}
	return id, nil
}

// RemoveMember removes a member for good. A member that is removed ends, and
// its data is of no use any more.
func (a *Admin) RemoveMember(ctx context.Context, id uint64) error {
	err := a.engine.members(ctx, func(ctx context.Context) error {
		_, err := a.engine.client.MemberRemove(ctx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove member %x: %w", id, a.engine.refusal(ctx, err))
	}
	return nil
}

// PromoteMember gives a learner its vote.
func (a *Admin) PromoteMember(ctx context.Context, id uint64) error {
	err := a.engine.members(ctx, func(ctx context.Context) error {
		_, err := a.engine.client.MemberPromote(ctx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("promote member %x: %w", id, a.engine.refusal(ctx, err))
	}
	return nil
}

// refusal turns what the cluster says about a change of its members into an
// error that says what to do.
func (e *Engine) refusal(ctx context.Context, err error) error {
	texts := []struct {
		err  error
		code bos.Code
		text string
	}{
		{rpctypes.ErrMemberNotFound, bos.CodeNotFound, "there is no such member; bosd cluster list shows them"},
		{rpctypes.ErrMemberNotLearner, bos.CodeConflict, "it has its vote already"},
		{rpctypes.ErrMemberLearnerNotReady, bos.CodeConflict, "it is still catching up with the others; try again in a moment"},
		{rpctypes.ErrTooManyLearners, bos.CodeConflict, "another member is joining; one can join at a time"},
		{rpctypes.ErrPeerURLExist, bos.CodeConflict, "there is a member at that address already"},
		{rpctypes.ErrMemberExist, bos.CodeConflict, "there is such a member already"},
		{rpctypes.ErrMemberNotEnoughStarted, bos.CodeConflict, "too few members would be left that have started"},
		{rpctypes.ErrUnhealthy, bos.CodeConflict, "the cluster would lose its majority, or a member was away in the last seconds; see bosd cluster list"},
	}
	for _, t := range texts {
		if errors.Is(err, t.err) {
			return &bos.Error{Code: t.code, Message: t.text, Err: err}
		}
	}
	return e.wrap(ctx, err)
}
