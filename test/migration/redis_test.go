// SPDX-License-Identifier: MIT

package migration_test

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
	"bos/test/rig"
)

// server is a real redis-server. caFile is "" without TLS.
type server struct {
	address string
	ca      *certstest.CA
	caFile  string
}

// startRedis runs a redis-server, with TLS or without.
func startRedis(t *testing.T, encrypted bool) *server {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		const advice = "redis-server is not installed: apt-get install -y redis-server"
		if os.Getenv("CI") != "" {
			t.Fatal(advice)
		}
		t.Skip(advice)
	}
	s := &server{address: rig.Address(t)}
	host, port, _ := net.SplitHostPort(s.address)
	dir := t.TempDir()
	args := []string{"--bind", host, "--dir", dir, "--save", "", "--daemonize", "no"}
	if encrypted {
		s.ca = certstest.NewCA(t, "redis")
		pair := s.ca.Server("redis", time.Now().Add(time.Hour))
		s.caFile = certstest.Write(t, dir, "ca.pem", s.ca.PEM)
		args = append(args, "--port", "0", "--tls-port", port, "--tls-auth-clients", "no", "--tls-ca-cert-file", s.caFile,
			"--tls-cert-file", certstest.Write(t, dir, "redis.pem", pair.Cert), "--tls-key-file", certstest.Write(t, dir, "redis.key", pair.Key))
	} else {
		args = append(args, "--port", port)
	}
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ready, said := make(chan struct{}), make(chan string, 1)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "eady to accept connections") {
				close(ready)
				break
			}
		}
		said <- text.String()
	}()
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Fatal("redis-server is not ready")
	case text := <-said:
		select {
		case <-ready:
		default:
			t.Fatalf("redis-server ended:\n%s", text)
		}
	}
	return s
}

// fill puts values into the databases.
func (s *server) fill(t *testing.T, dump map[int]map[string]string) {
	t.Helper()
	opts := redis.Options{Addr: s.address, Protocol: 2, DisableIdentity: true}
	if s.ca != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.ca.PEM)
		opts.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	for db, all := range dump {
		opts.DB = db
		client := redis.NewClient(&opts)
		for key, value := range all {
			if err := client.Set(t.Context(), key, value, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// untrusted are the arguments of an import that knows no CA.
func (s *server) untrusted() []string {
	scheme := "redis"
	if s.ca != nil {
		scheme = "rediss"
	}
	return []string{"import", "--from", scheme + "://" + s.address}
}

func (s *server) args() []string {
	if s.ca == nil {
		return s.untrusted()
	}
	return append(s.untrusted(), "--ca-file", s.caFile)
}

// take imports, and returns the report.
func (s *server) take(t *testing.T, into ...string) string {
	t.Helper()
	return rig.Command(t, nil, append(s.args(), into...)...)
}

// tenantKey is the original's key of something of a tenant.
func tenantKey(tenant, name string) string {
	a, b := sha1.Sum([]byte(tenant)), sha1.Sum([]byte(name))
	return hex.EncodeToString(a[:]) + "-" + hex.EncodeToString(b[:])
}
