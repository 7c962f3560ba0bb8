// SPDX-License-Identifier: MIT

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bos/internal/certs/certstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server's files and a clock that the test moves.
type world struct {
	t   *testing.T
	dir string
	now time.Time
	log strings.Builder
	ca  *certstest.CA
	Files
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: time.Now(), ca: certstest.NewCA(t, "ca")}
	w.Files = Files{filepath.Join(w.dir, "tls.crt"), filepath.Join(w.dir, "tls.key"), filepath.Join(w.dir, "ca.crt")}
	w.pair("first")
	w.write(w.ClientCA, w.ca.PEM)
	return w
}

// write replaces a file, as a tool that renews certificates does.
func (w *world) write(path string, data []byte) {
	w.t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pair(name string) {
	w.t.Helper()
	p := w.ca.Server(name, w.now.Add(time.Hour))
	w.write(w.Cert, p.Cert)
	w.write(w.Key, p.Key)
}

func (w *world) open() *Server {
	w.t.Helper()
	s, err := Open(w.Files, func() time.Time { return w.now }, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// shake does a handshake over a pipe and returns the name of the server that
// the client saw. The errors are the client's and the server's.
func shake(t *testing.T, s *Server, ca *certstest.CA, client *certstest.Pair) (string, error, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	cfg := &tls.Config{RootCAs: pool, ServerName: "localhost"}
	if client != nil {
		pair, err := tls.X509KeyPair(client.Cert, client.Key)
		if err != nil {
			t.Fatal(err)
		}
		// It is shown whatever the server says that it takes.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	var group sync.WaitGroup
	var serverErr error
	group.Go(func() {
		server := tls.Server(far, s.Config())
		if serverErr = server.Handshake(); serverErr == nil {
			_, serverErr = server.Write([]byte("x"))
		}
		_ = far.Close()
	})
	conn := tls.Client(near, cfg)
	name := ""
	_, err := conn.Read(make([]byte, 1))
	if err == nil {
		name = conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	_ = near.Close()
	group.Wait()
	return name, err, serverErr
}

func TestReload(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	see := func(what, want string) {
		t.Helper()
		if got, err, _ := shake(t, s, w.ca, nil); got != want {
			t.Errorf("%s: the client sees %q, %v; want %q", what, got, err, want)
		}
	}
	see("at first", "first")
	w.pair("second")
	see("within the pause", "first")
	w.now = w.now.Add(poll)
	see("after a change", "second")
	if s.NotAfter().IsZero() || !strings.Contains(w.log.String(), "read anew") {
		t.Errorf("expires %v; log: %s", s.NotAfter(), w.log.String())
	}

	// The key of another pair, as between the two writes of a renewal.
	third := w.ca.Server("third", w.now.Add(time.Hour))
	w.write(w.Cert, third.Cert)
	w.log.Reset()
	for range 3 {
		w.now = w.now.Add(poll)
		see("half a renewal", "second")
	}
	if strings.Count(w.log.String(), "can't be used") != 1 || strings.Contains(w.log.String(), "PRIVATE") {
		t.Errorf("log: %s", w.log.String())
	}
	w.write(w.Key, third.Key)
	w.now = w.now.Add(poll)
	see("the other half", "third")

	if err := os.Remove(w.Key); err != nil {
		t.Fatal(err)
	}
	w.log.Reset()
	for range 3 {
		w.now = w.now.Add(poll)
		see("a file is gone", "third")
	}
	if strings.Count(w.log.String(), "can't be used") != 1 {
		t.Errorf("log: %s", w.log.String())
	}
	w.pair("fourth")
	w.now = w.now.Add(poll)
	see("it is back", "fourth")
}

func TestClientCertificates(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	other := certstest.NewCA(t, "other")
	good, foreign := w.ca.Client("ops"), other.Client("ops")
	expect := func(what string, client *certstest.Pair, want bool) {
		t.Helper()
		if _, _, err := shake(t, s, w.ca, client); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	expect("none", nil, true)
	expect("good", &good, true)
	expect("another CA's", &foreign, false)
	if len(s.Roots()) != 1 {
		t.Errorf("%d CAs", len(s.Roots()))
	}
	w.write(w.ClientCA, append(append([]byte("# both\n"), w.ca.PEM...), other.PEM...))
	w.now = w.now.Add(poll)
	if len(s.Roots()) != 2 {
		t.Errorf("%d CAs", len(s.Roots()))
	}
	expect("another CA's, trusted now", &foreign, true)
	w.write(w.ClientCA, other.PEM)
	w.now = w.now.Add(poll)
	expect("no longer trusted", &good, false)
}

func TestOpenErrors(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change func(*Files)
		want   string
	}{
		"no certificate":     {func(f *Files) { f.Cert = filepath.Join(w.dir, "no") }, "no such file"},
		"certificate as key": {func(f *Files) { f.Key = f.Cert }, "tls.crt"},
		"key as certificate": {func(f *Files) { f.Cert = f.Key }, "tls.key"},
		"no CAs":             {func(f *Files) { f.ClientCA = f.Key }, "there are no certificates in"},
		"a CA that is broken": {func(f *Files) {
			f.ClientCA = certstest.Write(t, w.dir, "bad", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, "the CAs in"},
		"a large file": {func(f *Files) { f.ClientCA = certstest.Write(t, w.dir, "large", make([]byte, maxFile+1)) }, "larger than"},
	} {
		files := w.Files
		tt.change(&files)
		if _, err := Open(files, nil, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
