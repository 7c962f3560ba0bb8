// SPDX-License-Identifier: MIT

package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Embedded configures a store in this process.
type Embedded struct {
	// Dir holds the data; it is created if it is missing. Only one process at a
	// time can have it open.
	Dir string
	// ThrowAway trades durability for speed: short elections and no fsync. For
	// demonstrations and tests; a store that may grow into a cluster needs the
	// normal timing from its first day.
	ThrowAway bool
	// Member makes the store a member of a cluster, or one that others can join;
	// nil is a store that is alone.
	Member *Member
	// Quota is the largest size of the store's file in bytes; 0 means 8 GiB. One
	// that is full takes no writes but deletions; see [Admin.Defragment].
	Quota int64
	// Socket makes the store listen to commands on this host, in [SocketName].
	Socket bool
	// Recover makes a member that is left of a cluster whose majority is lost for
	// ever the only member.
	Recover bool
	// LeaseTTL is how long a leadership outlives a process that died; 0 means 4
	// seconds. It must be the same in all processes.
	LeaseTTL time.Duration
	// ReadyTimeout bounds the start of a store that is alone, and how long another
	// process may have the data open; 0 means a minute.
	ReadyTimeout time.Duration
	Log          *slog.Logger
}

const (
	defaultQuota = 8 << 30

	loneName = "bos"
	// loneURL names a member that is alone; nothing listens there.
	loneURL = "http://127.0.0.1:1"
	// SocketName is the file in the data folder by which commands on the same
	// host reach the store.
	SocketName = "bosd.sock"
	// maxSocketPath is how long the path of a socket may be on any system.
	maxSocketPath = 103

	defaultReadyTimeout = time.Minute
	defragThresholdMB   = 100
	// compactBatch is how many documents are looked at before a compaction commits
	// and rests, and others get their turn; each commit waits for the disk.
	compactBatch = 4000
	compactRest  = 2 * time.Millisecond
)

// config builds etcd's configuration.
func (c Embedded) config(fatal *fatalHook) (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Dir = c.Dir
	cfg.ListenPeerUrls, cfg.ListenClientUrls = nil, nil
	cfg.QuotaBackendBytes = cmp.Or(c.Quota, defaultQuota)
	cfg.BootstrapDefragThresholdMegabytes = defragThresholdMB
	cfg.CompactionBatchLimit, cfg.CompactionSleepInterval = compactBatch, compactRest
	cfg.EnableGRPCGateway = false
	cfg.ForceNewCluster = c.Recover
	if c.ThrowAway {
		cfg.TickMs, cfg.ElectionMs = 10, 100
		cfg.UnsafeNoFsync = true
	}
	logger, err := zap.NewProduction(zap.WrapCore(forwardTo(c.Log, &fatal.closing)), zap.WithFatalHook(fatal))
	if err != nil {
		return nil, fmt.Errorf("store's logger: %w", err)
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	if err := c.Member.configure(cfg); err != nil {
		return nil, err
	}
	if path, err := c.socket(); err == nil && path != "" {
		cfg.ListenClientUrls = append(cfg.ListenClientUrls, url.URL{Scheme: "unix", Path: path})
	}
	return cfg, nil
}

// socket returns the path of the socket for commands on this host; "" for none.
func (c Embedded) socket() (string, error) {
	if !c.Socket {
		return "", nil
	}
	return SocketPath(c.Dir)
}

// SocketPath returns where a process that has a store in a folder listens to
// commands. It is an error if the path is too long for a socket: then there is
// none.
func SocketPath(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, SocketName))
	if err != nil {
		return "", fmt.Errorf("find the store's folder: %w", err)
	}
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("the path %s is too long for a socket; at most %d bytes are possible", path, maxSocketPath)
	}
	return path, nil
}

// HasData reports whether there is a store in a folder.
func HasData(dir string) bool {
	return wal.Exist(filepath.Join(dir, "member", "wal"))
}

// RemoveData removes the store in a folder, and nothing else there.
func RemoveData(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, "member")); err != nil {
		return fmt.Errorf("remove the store in %s: %w", dir, err)
	}
	return nil
}

// OpenEmbedded starts a store in this process and waits until it serves. A
// member of a cluster waits for a majority of the others, for as long as ctx
// lasts.
func OpenEmbedded(ctx context.Context, c Embedded) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = defaultLeaseTTL
	}
	if c.ReadyTimeout == 0 {
		c.ReadyTimeout = defaultReadyTimeout
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the store's folder: %w", err)
	}
	if c.Member != nil {
		if err := c.Member.prepare(ctx, c.Dir, c.Log); err != nil {
			return nil, err
		}
	}
	fatal := &fatalHook{log: c.Log}
	cfg, err := c.config(fatal)
	if err != nil {
		return nil, err
	}
	server, err := startServer(cfg, fatal, c.ReadyTimeout)
	if err != nil {
		return nil, fmt.Errorf("start the store in %s: %w%s", c.Dir, err, advice(err))
	}
	if err := c.await(ctx, server); err != nil {
		fatal.closing.Store(true)
		server.Close()
		return nil, err
	}
	e := newEngine(v3client.New(server.Server), server, c.LeaseTTL, c.Log)
	e.closing = &fatal.closing
	if path, err := c.socket(); err != nil {
		c.Log.Warn("commands on this host can't reach the store", slog.Any("reason", err))
	} else if path != "" {
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("protect the store's socket: %w", err), e.Close())
		}
	}
	if c.Member != nil {
		if err := c.Member.settle(ctx, e); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// advice says what to do about a fault at the start of which etcd has no error
// that could be told apart otherwise.
func advice(err error) string {
	has := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
	switch {
	case has("already been bootstrapped"):
		return ": its data was lost. Remove the member with bosd cluster remove, and let it join"
	case has("crc mismatch", "walpb:", "wal:", "snap:", "proto:", "unexpected EOF"):
		return ": the log is damaged, and what it says can't be relied on. Move the folder away and fill a new one with bosd restore, " +
			"or, in a cluster, remove the member and let it join anew"
	}
	return ""
}

// awaitNotice is how often it is said that a member waits for the others.
const awaitNotice = 10 * time.Second

// await waits until a server is ready.
func (c Embedded) await(ctx context.Context, server *embed.Etcd) error {
	begun := time.Now()
	ticker := time.NewTicker(min(awaitNotice, c.ReadyTimeout))
	defer ticker.Stop()
	for {
		select {
		case <-server.Server.ReadyNotify():
			return nil
		case err := <-server.Err():
			return fmt.Errorf("start the store in %s: %w", c.Dir, err)
		case <-server.Server.StopNotify():
			return fmt.Errorf("start the store in %s: %w", c.Dir, errStopped)
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		waited := time.Since(begun).Round(time.Second)
		if c.Member == nil && waited >= c.ReadyTimeout {
			return fmt.Errorf("the store in %s is not ready after %v", c.Dir, waited)
		}
		c.Log.Warn("the store waits for a majority of the members of its cluster", slog.Duration("for", waited))
	}
}

// errStopped is why a member ends that nobody closed.
var errStopped = errors.New("the member has stopped; it was removed from the cluster, or its data can't be used. " +
	"If it was removed: empty its folder and let it join anew")

// fatalError is what a fault that etcd can't go on after becomes while it starts.
type fatalError struct{ text string }

func (e fatalError) Error() string { return e.text }

// fatalHook decides what happens when etcd finds that it can't go on, which it
// has logged by then. While the store starts, the one who starts it gets the
// reason. Later the process ends: what can't be written must not be
// acknowledged.
type fatalHook struct {
	log     *slog.Logger
	started atomic.Bool
	// closing is set while the store is being closed.
	closing atomic.Bool
}

// OnWrite implements [zapcore.CheckWriteHook].
func (h *fatalHook) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	texts := []string{entry.Message}
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			texts = append(texts, err.Error())
		}
	}
	text := strings.Join(texts, ": ")
	if h.started.Load() {
		h.log.Error("the store can't be written any more, so that this process ends; nothing is lost that was acknowledged. "+
			"Make room on the disk, or make it writable, and start it again", slog.String("reason", text))
		os.Exit(1)
	}
	panic(fatalError{text})
}

// startServer opens the data. Another process that has it open makes etcd wait
// without a word, and data that is damaged makes it give up; both are turned
// into errors.
func startServer(cfg *embed.Config, fatal *fatalHook, timeout time.Duration) (*embed.Etcd, error) {
	type result struct {
		server *embed.Etcd
		err    error
	}
	started := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			switch fault := recover().(type) {
			case nil:
			case fatalError:
				r.err = fault
			default:
				panic(fault)
			}
			fatal.started.Store(true)
			started <- r
		}()
		r.server, r.err = embed.StartEtcd(cfg)
	}()
	select {
	case r := <-started:
		return r.server, r.err
	case <-time.After(timeout):
		go func() {
			if r := <-started; r.server != nil {
				r.server.Close()
			}
		}()
		return nil, fmt.Errorf("its data can't be opened within %v; is another process using it?", timeout)
	}
}

// HolderPrefix must begin the holder names of campaigns from within the process
// that embeds the store; leaderships of such holders end with the process.
// It is "" for a cluster outside.
func (e *Engine) HolderPrefix() string {
	if e.server == nil {
		return ""
	}
	return "member/" + e.server.Server.MemberID().String() + "/"
}

// NewHolder returns the name of a candidate of this process, with the prefix
// that the engine asks for.
func (e *Engine) NewHolder() string { return e.HolderPrefix() + uuid.NewString() }

// Stopped is closed when a member in this process stops although nobody closed
// the engine; [Engine.Fault] says why. It is nil for a cluster outside.
func (e *Engine) Stopped() <-chan struct{} {
	if e.server == nil {
		return nil
	}
	return e.server.Server.StopNotify()
}

// Fault says why a member has stopped.
func (e *Engine) Fault() error { return errStopped }
