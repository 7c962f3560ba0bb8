// SPDX-License-Identifier: MIT

package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"bos/internal/bos"
)

// Member configures a store in this process as a member of a cluster. A store
// that has data goes on with what it was a member of; an empty one begins as
// the first member, as one of Initial, or joins a running cluster.
type Member struct {
	// Name is what the member is called; it must be unique in the cluster.
	Name string
	// PeerListen and ClientListen are host:port, the host an address: where the
	// other members, and clients, reach this one. Without ClientListen none does.
	PeerListen, ClientListen string
	// PeerAdvertise and ClientAdvertise are host:port as others reach those; ""
	// is the same.
	PeerAdvertise, ClientAdvertise string
	// Join is where clients reach members of the cluster to join.
	Join []string
	// Initial are all members of a new cluster, name=host:port, this one among
	// them.
	Initial []string
	// CAFile, CertFile and KeyFile are PEM files for TLS between the members and
	// with clients; both sides of a connection must have a certificate of the
	// CA. Without them nothing is encrypted.
	CAFile, CertFile, KeyFile string

	// members is the cluster to begin with, as etcd wants it.
	members string
	state   string
	token   string
}

const (
	// joinPause is how long a member waits before it asks again to be taken in.
	joinPause = 500 * time.Millisecond
	// joinRounds is how many attempts go by between notices.
	joinRounds = 20
)

func (m *Member) scheme() string {
	if m.CertFile != "" {
		return "https"
	}
	return "http"
}

func (m *Member) url(address string) url.URL { return url.URL{Scheme: m.scheme(), Host: address} }

func (m *Member) peerURL() string {
	u := m.url(cmp.Or(m.PeerAdvertise, m.PeerListen))
	return u.String()
}

// configure makes etcd's configuration that of a member; nil that of a store
// that is alone.
func (m *Member) configure(cfg *embed.Config) error {
	lone, err := url.Parse(loneURL)
	if err != nil {
		return fmt.Errorf("member URL: %w", err)
	}
	cfg.AdvertiseClientUrls = []url.URL{*lone}
	if m == nil {
		cfg.Name = loneName
		cfg.AdvertisePeerUrls = []url.URL{*lone}
		cfg.InitialCluster = loneName + "=" + loneURL
		// Sites must not pass for each other.
		cfg.InitialClusterToken = uuid.NewString()
		// One member needs no long log for others to catch up from; it would only
		// cost memory.
		cfg.SnapshotCount = 1000
		cfg.SnapshotCatchUpEntries = 10
		return nil
	}
	cfg.Name = m.Name
	cfg.ListenPeerUrls = []url.URL{m.url(m.PeerListen)}
	cfg.AdvertisePeerUrls = []url.URL{m.url(cmp.Or(m.PeerAdvertise, m.PeerListen))}
	if m.ClientListen != "" {
		cfg.ListenClientUrls = []url.URL{m.url(m.ClientListen)}
		cfg.AdvertiseClientUrls = []url.URL{m.url(cmp.Or(m.ClientAdvertise, m.ClientListen))}
	}
	cfg.InitialCluster, cfg.ClusterState, cfg.InitialClusterToken = m.members, m.state, m.token
	if m.CertFile != "" {
		// The files are read at every handshake: renewed ones need no restart.
		info := transport.TLSInfo{
			CertFile: m.CertFile, KeyFile: m.KeyFile, TrustedCAFile: m.CAFile, ClientCertAuth: m.CAFile != "",
		}
		cfg.PeerTLSInfo, cfg.ClientTLSInfo = info, info
	}
	return nil
}

// prepare finds out which cluster an empty member begins with, and has itself
// taken into one that runs.
func (m *Member) prepare(ctx context.Context, dir string, log *slog.Logger) error {
	m.members, m.state, m.token = m.Name+"="+m.peerURL(), embed.ClusterStateFlagNew, uuid.NewString()
	switch {
	case HasData(dir):
		// The data says what it is a member of.
		return nil
	case len(m.Initial) > 0:
		return m.prepareInitial()
	case len(m.Join) > 0:
		return m.prepareJoin(ctx, log)
	}
	return nil
}

// prepareInitial begins a cluster with all its members.
func (m *Member) prepareInitial() error {
	var members []string
	found := false
	for _, one := range m.Initial {
		name, address, ok := strings.Cut(one, "=")
		if !ok {
			return fmt.Errorf("%q is not name=host:port", one)
		}
		u := m.url(address)
		found = found || name == m.Name && u.String() == m.peerURL()
		members = append(members, name+"="+u.String())
	}
	if !found {
		return fmt.Errorf("%s=%s, which is this member, is not among the first members %s",
			m.Name, cmp.Or(m.PeerAdvertise, m.PeerListen), strings.Join(m.Initial, ", "))
	}
	slices.Sort(members)
	m.members = strings.Join(members, ",")
	// All of them must have the same one.
	m.token = uuid.NewSHA1(uuid.NameSpaceURL, []byte(m.members)).String()
	return nil
}

// errTaken says that a member can't be taken in as it is.
var errTaken = errors.New("it can't join as it is")

// prepareJoin asks a running cluster to be taken in, again and again: it takes
// in one member at a time, and only while it is well.
func (m *Member) prepareJoin(ctx context.Context, log *slog.Logger) error {
	client, err := m.client(log)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	for round := 0; ; round++ {
		m.members, err = m.ask(ctx, client)
		if err == nil {
			m.state = embed.ClusterStateFlagExisting
			return nil
		}
		if errors.Is(err, errTaken) || ctx.Err() != nil {
			return fmt.Errorf("join the cluster at %s: %w", strings.Join(m.Join, ", "), err)
		}
		if round%joinRounds == 0 {
			log.Warn("waiting to be taken into the cluster", slog.Any("at", m.Join), slog.Any("reason", err))
		}
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// client reaches the members to join.
func (m *Member) client(log *slog.Logger) (*clientv3.Client, error) {
	endpoints := make([]string, 0, len(m.Join))
	for _, address := range m.Join {
		if !strings.Contains(address, "://") {
			address = m.scheme() + "://" + address
		}
		endpoints = append(endpoints, address)
	}
	return Remote{Endpoints: endpoints, CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile, Log: log}.connect()
}

// ask has the member taken in, if that has not been done, and returns all
// members as etcd wants them.
func (m *Member) ask(ctx context.Context, client *clientv3.Client) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := client.MemberList(ctx)
	if err != nil {
		return "", fmt.Errorf("list the members: %w", err)
	}
	members := list.Members
	own := slices.IndexFunc(members, func(o *etcdserverpb.Member) bool { return slices.Contains(o.PeerURLs, m.peerURL()) })
	switch named := slices.IndexFunc(members, func(o *etcdserverpb.Member) bool { return o.Name == m.Name }); {
	case own >= 0 && members[own].Name != "":
		return "", fmt.Errorf("%w: the cluster has a member at %s (%s) that had data; this folder is empty. "+
			"Remove that member first, with bosd cluster remove %x", errTaken, m.peerURL(), members[own].Name, members[own].ID)
	case named >= 0:
		return "", fmt.Errorf("%w: the cluster has a member called %s, at %s; names must differ, or that member must be removed first, "+
			"with bosd cluster remove %x", errTaken, m.Name, strings.Join(members[named].PeerURLs, ", "), members[named].ID)
	case own < 0:
		added, err := client.MemberAddAsLearner(ctx, []string{m.peerURL()})
		if err != nil {
			return "", fmt.Errorf("ask to be taken in: %w", err)
		}
		members = added.Members
	}
	var all []string
	for _, one := range members {
		name := one.Name
		switch {
		case slices.Contains(one.PeerURLs, m.peerURL()):
			name = m.Name
		case name == "":
			// One that has not started yet; any name will do.
			name = fmt.Sprintf("member-%x", one.ID)
		}
		for _, u := range one.PeerURLs {
			all = append(all, name+"="+u)
		}
	}
	return strings.Join(all, ","), nil
}

// settle makes a member that has started a full one, known by its present
// address.
func (m *Member) settle(ctx context.Context, e *Engine) error {
	server := e.server.Server
	for round := 0; ; round++ {
		self := server.Cluster().Member(server.MemberID())
		var err error
		switch {
		case self == nil:
			err = errors.New("it is not among the members yet")
		case !slices.Equal(self.PeerURLs, []string{m.peerURL()}):
			err = e.members(ctx, func(ctx context.Context) error {
				_, err := e.client.MemberUpdate(ctx, uint64(self.ID), []string{m.peerURL()})
				return err
			})
		case self.IsLearner:
			err = e.members(ctx, func(ctx context.Context) error {
				_, err := e.client.MemberPromote(ctx, uint64(self.ID))
				return err
			})
			if errors.Is(err, rpctypes.ErrMemberNotLearner) {
				err = nil
			}
		default:
			return nil
		}
		if err != nil && round%joinRounds == 0 {
			e.log.Info("the member is not a full one yet", slog.Any("reason", err))
		}
		pause := joinPause
		if err == nil {
			// It takes a moment until it shows here.
			pause = joinPause / 10
		}
		select {
		case <-time.After(pause):
		case <-server.StopNotify():
			return errStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// members carries out one question about the members.
func (e *Engine) members(ctx context.Context, ask func(ctx context.Context) error) error {
	rctx, done, err := e.request(ctx)
	if err != nil {
		return err
	}
	defer done()
	return ask(rctx)
}

// CheckPeerAddress reports whether something can listen at host:port for other
// members: etcd takes addresses only, and a name only for this host.
func CheckPeerAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%.100q is not host:port", address)
	}
	if host != "localhost" && net.ParseIP(host) == nil {
		return bos.Errorf(bos.CodeInvalid, "%.100q is not an address of this host, such as 10.1.2.3 or 0.0.0.0", host)
	}
	return nil
}
