// SPDX-License-Identifier: MIT

// Package redistest runs a real redis-server for tests of the import from the
// original, which keeps its documents in one.
package redistest

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"bos/internal/certs/certstest"
	"bos/test/port"
)

// Config says how a server is reached.
type Config struct {
	// TLS takes encrypted connections alone.
	TLS bool
	// Password is asked of clients; "" asks for none.
	Password string
}

// Server is a redis-server that lives as long as its test.
type Server struct {
	Config
	Address string
	// CAFile has the CA of the server's certificate in PEM; "" without TLS.
	CAFile string
	// roots has the same.
	roots *x509.CertPool
}

// patience bounds how long a server may take to start.
const patience = time.Minute

// Start runs a server with empty databases. Where there is no redis-server the test
// is left out; CI installs it, and fails without.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		const advice = "redis-server is not installed: apt-get install -y redis-server"
		if os.Getenv("CI") != "" {
			t.Fatal(advice)
		}
		t.Skip(advice)
	}
	s := &Server{Config: cfg, Address: port.Address(t)}
	cmd := exec.Command(program, s.arguments(t, t.TempDir())...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ready, ended := make(chan struct{}), make(chan string, 1)
	go func() {
		var said strings.Builder
		waits := true
		// It is read to its end, so that the server never waits for a reader.
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if !waits {
				continue
			}
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "eady to accept connections") {
				close(ready)
				waits = false
			}
		}
		ended <- said.String()
	}()
	select {
	case <-ready:
	case said := <-ended:
		t.Fatalf("redis-server ended:\n%s", said)
	case <-time.After(patience):
		t.Fatalf("redis-server is not ready within %s", patience)
	}
	return s
}

// arguments are those of redis-server; what it needs is written into a folder.
func (s *Server) arguments(t testing.TB, dir string) []string {
	t.Helper()
	host, number, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--bind", host, "--dir", dir, "--save", "", "--daemonize", "no"}
	if s.Password != "" {
		args = append(args, "--requirepass", s.Password)
	}
	if !s.TLS {
		return append(args, "--port", number)
	}
	ca := certstest.NewCA(t, "redis")
	pair := ca.Server("redis", time.Now().Add(time.Hour))
	s.CAFile = certstest.Write(t, dir, "ca.pem", ca.PEM)
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(ca.PEM)
	return append(args, "--port", "0", "--tls-port", number, "--tls-auth-clients", "no", "--tls-ca-cert-file", s.CAFile,
		"--tls-cert-file", certstest.Write(t, dir, "redis.pem", pair.Cert), "--tls-key-file", certstest.Write(t, dir, "redis.key", pair.Key))
}

// URL is the server's address as bosd import takes it, without the password.
func (s *Server) URL() string {
	if s.TLS {
		return "rediss://" + s.Address
	}
	return "redis://" + s.Address
}

// Client returns a client of one of the databases; it is closed with the test.
func (s *Server) Client(t testing.TB, db int) *redis.Client {
	t.Helper()
	opts := &redis.Options{Addr: s.Address, Password: s.Password, DB: db, Protocol: 2, DisableIdentity: true}
	if s.TLS {
		opts.TLSConfig = &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Fill puts values into the databases, by number and key.
func (s *Server) Fill(t testing.TB, dump map[int]map[string]string) {
	t.Helper()
	for db, all := range dump {
		client := s.Client(t, db)
		for key, value := range all {
			if err := client.Set(t.Context(), key, value, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Key is the original's key of something that belongs to a tenant; "" is none.
func Key(tenant, name string) string {
	a, b := sha1.Sum([]byte(tenant)), sha1.Sum([]byte(name))
	return hex.EncodeToString(a[:]) + "-" + hex.EncodeToString(b[:])
}
