// SPDX-License-Identifier: MIT

package etcd_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"bos/internal/bos"
	"bos/internal/certs/certstest"
	"bos/internal/store"
	"bos/internal/store/etcd"
	"bos/internal/store/storetest"
)

// files are a certificate, its key and a CA on disk.
type files struct{ ca, cert, key string }

func onDisk(t *testing.T, ca *certstest.CA, name string, pair certstest.Pair) files {
	t.Helper()
	dir := t.TempDir()
	return files{
		certstest.Write(t, dir, "ca.pem", ca.PEM), certstest.Write(t, dir, name+".pem", pair.Cert), certstest.Write(t, dir, name+".key", pair.Key),
	}
}

// outside starts an etcd that has nothing to do with BOS: with TLS, certificates
// of clients, and a user who may touch BOS's documents only.
func outside(t *testing.T, ca *certstest.CA) (endpoint string) {
	t.Helper()
	own := onDisk(t, ca, "server", ca.Member("etcd", time.Now().Add(time.Hour)))
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = t.TempDir(), "fatal", true
	cfg.TickMs, cfg.ElectionMs = 10, 100
	client := url.URL{Scheme: "https", Host: address(t)}
	peer := url.URL{Scheme: "http", Host: address(t)}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: own.cert, KeyFile: own.key, TrustedCAFile: own.ca, ClientCertAuth: true}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	root := v3client.New(server.Server)
	t.Cleanup(func() { _ = root.Close() })
	ctx := t.Context()
	end := clientv3.GetPrefixRangeEnd(store.Root)
	for _, step := range []func() error{
		func() error { _, err := root.RoleAdd(ctx, "bos"); return err },
		func() error {
			_, err := root.RoleGrantPermission(ctx, "bos", store.Root, end, clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := root.RoleAdd(ctx, "root"); return err },
		func() error { _, err := root.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := root.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := root.UserAdd(ctx, "bos", "password"); return err },
		func() error { _, err := root.UserGrantRole(ctx, "bos", "bos"); return err },
		func() error { _, err := root.UserAdd(ctx, "nobody", "password"); return err },
		func() error { _, err := root.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return client.String()
}

func TestOutsideWithTLSAndPassword(t *testing.T) {
	ca, other := certstest.NewCA(t, "ours"), certstest.NewCA(t, "another")
	endpoint := outside(t, ca)
	known := onDisk(t, ca, "client", ca.Client("bosd"))
	stranger := onDisk(t, ca, "client", other.Client("bosd"))
	remote := func(f files, user, password string) etcd.Remote {
		return etcd.Remote{
			Endpoints: []string{endpoint}, CAFile: f.ca, CertFile: f.cert, KeyFile: f.key,
			Username: user, Password: password, LeaseTTL: time.Second,
		}
	}
	e, err := etcd.OpenRemote(t.Context(), remote(known, "bos", "password"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	write(t, e, "/bos/a")
	if l, err := e.Campaign(t.Context(), "status", e.NewHolder()); err != nil || !l.Alive() {
		t.Errorf("campaign: %v", err)
	}
	w, err := e.Watch(t.Context(), store.Root, 0)
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := <-w.C(); !ok {
		t.Errorf("watch: %+v, %v", b, w.Err())
	}
	for name, r := range map[string]etcd.Remote{
		"wrong password": remote(known, "bos", "nonsense"), "no such user": remote(known, "somebody", "password"),
		"no permission": remote(known, "nobody", "password"), "no user": remote(known, "", ""),
	} {
		if _, err := etcd.OpenRemote(t.Context(), r); !errors.Is(err, etcd.ErrRefused) || !bos.IsUnavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]files{
		"certificate of another CA": stranger, "no certificate": {ca: known.ca},
	} {
		if _, err := etcd.OpenRemote(t.Context(), remote(f, "bos", "password")); !bos.IsUnavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The suite holds at an etcd outside, for a user with no more rights than needed.
func TestOutsideSuite(t *testing.T) {
	ca := certstest.NewCA(t, "ours")
	known := onDisk(t, ca, "client", ca.Client("bosd"))
	storetest.Run(t, func(t *testing.T) (store.Engine, func(int64)) {
		endpoint := outside(t, ca)
		e, err := etcd.OpenRemote(t.Context(), etcd.Remote{
			Endpoints: []string{endpoint}, CAFile: known.ca, CertFile: known.cert, KeyFile: known.key,
			Username: "root", Password: "secret", LeaseTTL: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		return e, func(revision int64) {
			if err := e.Compact(t.Context(), revision); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Members speak to each other and to clients over TLS only, and take nobody in
// who has no certificate of their CA.
func TestMembersWithTLS(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewCA(t, "ours"), certstest.NewCA(t, "another")
	secured := func(name string, signer *certstest.CA) etcd.Embedded {
		c := newMember(t, name)
		f := onDisk(t, ca, name, signer.Member(name, time.Now().Add(time.Hour)))
		c.Member.CAFile, c.Member.CertFile, c.Member.KeyFile = f.ca, f.cert, f.key
		return c
	}
	first := secured("m0", ca)
	start(t, first)
	second := secured("m1", ca)
	second.Member.Join = []string{first.Member.ClientListen}
	e := start(t, second)
	write(t, e, "/bos/a")
	intruder := secured("m2", other)
	intruder.Member.Join = []string{first.Member.ClientListen}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := etcd.OpenEmbedded(ctx, intruder); err == nil {
		t.Error("a member without a certificate of the CA was taken in")
	}
	if _, err := etcd.OpenRemote(ctx, etcd.Remote{Endpoints: []string{"http://" + first.Member.ClientListen}}); err == nil {
		t.Error("a client without a certificate was let in")
	}
}
