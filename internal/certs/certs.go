// SPDX-License-Identifier: MIT

// Package certs keeps the certificates of a TLS server in step with their
// files, so that they are renewed without a restart.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// poll is how often the files are looked at, at most: at the handshakes.
	poll = time.Second
	// maxFile bounds a file in bytes.
	maxFile = 1 << 20
)

// Files are PEM files.
type Files struct {
	// Cert is the server's certificate with what leads to its CA, Key its key.
	Cert, Key string
	// ClientCA holds the CAs of client certificates; "" asks for none.
	ClientCA string
}

// Server is the server's side of TLS. It may be used by many goroutines.
type Server struct {
	files Files
	now   func() time.Time
	log   *slog.Logger

	current atomic.Pointer[loaded]

	// looking is held by the one who looks at the files.
	looking sync.Mutex
	// next is when the files are looked at again, in Unix nanoseconds.
	next atomic.Int64
	seen []fs.FileInfo
	// fault is what was wrong at the last change, so that it is logged once.
	fault string
}

// loaded is what was read at one time.
type loaded struct {
	config   *tls.Config
	roots    []*x509.Certificate
	notAfter time.Time
}

// Open reads the files. now is the wall clock, nil means time.Now. The errors
// name the file.
func Open(files Files, now func() time.Time, log *slog.Logger) (*Server, error) {
	if now == nil {
		now = time.Now
	}
	s := &Server{files: files, now: now, log: log}
	seen, err := s.stat()
	if err != nil {
		return nil, err
	}
	l, err := load(files)
	if err != nil {
		return nil, err
	}
	s.seen = seen
	s.current.Store(l)
	s.next.Store(now().Add(poll).UnixNano())
	return s, nil
}

// Config returns the configuration of a TLS server. It is good for as long as
// the server runs.
func (s *Server) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s.look()
			return s.current.Load().config, nil
		},
	}
}

// Roots returns the CAs of client certificates as they are now.
func (s *Server) Roots() []*x509.Certificate {
	s.look()
	return s.current.Load().roots
}

// NotAfter returns when the server's certificate expires.
func (s *Server) NotAfter() time.Time { return s.current.Load().notAfter }

// look reads the files anew if they have changed. Files that can't be read or
// don't fit together, as while they are being replaced, leave what there is.
func (s *Server) look() {
	if s.now().UnixNano() < s.next.Load() || !s.looking.TryLock() {
		return
	}
	defer s.looking.Unlock()
	s.next.Store(s.now().Add(poll).UnixNano())
	seen, err := s.stat()
	if err == nil && same(seen, s.seen) {
		return
	}
	var l *loaded
	if err == nil {
		s.seen = seen
		l, err = load(s.files)
	}
	if err != nil {
		if fault := err.Error(); fault != s.fault {
			s.fault = fault
			s.log.Warn("the TLS certificates have changed and can't be used; the old ones are kept", slog.Any("error", err))
		}
		return
	}
	s.fault = ""
	s.current.Store(l)
	s.log.Info("the TLS certificates were read anew", slog.Time("expires", l.notAfter))
}

// stat looks at the files, without reading them.
func (s *Server) stat() ([]fs.FileInfo, error) {
	var infos []fs.FileInfo
	for _, path := range []string{s.files.Cert, s.files.Key, s.files.ClientCA} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("look at a file of TLS: %w", err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// load reads the files.
func load(files Files) (*loaded, error) {
	cert, err := read(files.Cert)
	if err != nil {
		return nil, err
	}
	key, err := read(files.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s and the key %s: %w", files.Cert, files.Key, err)
	}
	l := &loaded{notAfter: pair.Leaf.NotAfter, config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"},
	}}
	if files.ClientCA == "" {
		return l, nil
	}
	if l.roots, err = authorities(files.ClientCA); err != nil {
		return nil, err
	}
	l.config.ClientCAs = x509.NewCertPool()
	for _, root := range l.roots {
		l.config.ClientCAs.AddCert(root)
	}
	// Probes have no certificate; who needs one is decided for each request.
	l.config.ClientAuth = tls.VerifyClientCertIfGiven
	return l, nil
}

// authorities reads the certificates of CAs.
func authorities(path string) ([]*x509.Certificate, error) {
	rest, err := read(path)
	if err != nil {
		return nil, err
	}
	var roots []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the CAs in %s: %w", path, err)
		}
		roots = append(roots, root)
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("there are no certificates in %s", path)
	}
	return roots, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a file of TLS: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read a file of TLS: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}
