// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/legacy"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

const (
	// redisPassword is where the password of the original's Redis may be.
	redisPassword = "REDIS_PASSWORD"
	// maxPasswordFile bounds a file with a password in bytes.
	maxPasswordFile = 4 << 10
	// defaultSideFile is where what can't be taken is kept.
	defaultSideFile = "bos-import-left-out.jsonl"
)

type importFlags struct {
	from, passwordFile, caFile, sideFile string
	dryRun                               bool
}

func (p *program) importing() *cobra.Command {
	cfg := config.Default()
	var f importFlags
	c := &cobra.Command{
		Use: "import --from redis://HOST:PORT", Short: "Take over what the original BOS has in its Redis",
		Long: "Reads the six databases of the original service and writes what is in them into\n" +
			"the store: that of a server that is stopped (--data-dir), or one outside\n" +
			"(--etcd-endpoints) on which no server works. Redis is only read.\n\n" +
			"Everything that is not taken as it is gets a line: what was changed and why, and\n" +
			"what can't be taken. That is written to the side file, a line of JSON each.\n" +
			"Documents that the store has already stay as they are, so that an import can be\n" +
			"carried out again and again. Try it with --dry-run first: it shows all that and\n" +
			"writes nothing.\n\n" +
			"The password is taken from the URL, from --password-file, or from " + redisPassword + "\n" +
			"in the environment. Others on this host can see arguments.",
		Example: "  bosd import --from redis://cray-bos-db:6379 --data-dir /var/lib/bos --dry-run\n" +
			"  bosd import --from redis://cray-bos-db:6379 --etcd-endpoints https://bos-0:2379 --side-file left-out.jsonl",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			return p.runImport(c.Context(), cfg, f)
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupEmbedded, config.GroupEtcd)
	c.Flags().StringVar(&f.from, "from", "", "`URL` of the original's Redis; rediss:// uses TLS")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "`file` with the password of Redis")
	c.Flags().StringVar(&f.caFile, "ca-file", "", "PEM `file` of the CA of Redis's certificate, in place of the system's")
	c.Flags().StringVar(&f.sideFile, "side-file", defaultSideFile, "`file` for what can't be taken, if there is anything; one of that name is replaced")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be done")
	return c
}

func (p *program) runImport(ctx context.Context, cfg *config.Config, f importFlags) error {
	if f.from == "" {
		return usage(errors.New("--from is missing: the URL of the original's Redis"))
	}
	password, err := p.redisPassword(f.passwordFile)
	if err != nil {
		return usage(err)
	}
	roots, err := redisRoots(f.caFile)
	if err != nil {
		return usage(err)
	}
	source, err := legacy.Open(f.from, password, roots)
	if err != nil {
		return usage(fmt.Errorf("--from: %w", err))
	}
	dump, err := source.Read(ctx)
	if err != nil {
		return err
	}
	log, _ := p.logger(cfg)
	s, err := openForImport(ctx, cfg, log, f.dryRun)
	if err != nil {
		return err
	}
	if s == nil {
		return p.importInto(ctx, nil, dump, f)
	}
	return errors.Join(p.importInto(ctx, s, dump, f), s.Close())
}

// importInto takes a dump over into a store; nil is one that is not there yet.
func (p *program) importInto(ctx context.Context, s *store.Store, dump legacy.Dump, f importFlags) error {
	there := legacy.Present{}
	if s != nil {
		var err error
		if there, err = legacy.Look(ctx, s); err != nil {
			return err
		}
	}
	at, err := there.When(time.Now())
	if err != nil {
		return err
	}
	plan := legacy.Compare(legacy.Convert(dump, at), there, at)
	if f.dryRun {
		err := plan.Report(p.stdout)
		_, _ = fmt.Fprintln(p.stdout, "\ndry run: nothing was written")
		return err
	}
	if len(plan.Left) > 0 {
		if err := writeSideFile(f.sideFile, &plan); err != nil {
			return err
		}
	}
	if err := plan.Store(ctx, s); err != nil {
		return err
	}
	if err := plan.Report(p.stdout); err != nil {
		return err
	}
	if len(plan.Left) > 0 {
		_, err = fmt.Fprintf(p.stdout, "\nwhat was left out is in %s\n", f.sideFile)
	}
	return err
}

// openForImport opens the store; a dry run makes none that is not there yet.
func openForImport(ctx context.Context, cfg *config.Config, log *slog.Logger, dryRun bool) (*store.Store, error) {
	if len(cfg.EtcdEndpoints) > 0 {
		where, err := app.Remote(cfg, log)
		if err != nil {
			return nil, err
		}
		engine, err := etcd.OpenRemote(ctx, where)
		if err != nil {
			return nil, err
		}
		s := store.New(engine)
		if !dryRun {
			if err := unserved(ctx, s); err != nil {
				return nil, errors.Join(err, s.Close())
			}
		}
		return s, nil
	}
	if dryRun && !etcd.HasData(cfg.DataDir) {
		return nil, nil //nolint:nilnil // there is no store
	}
	if served(ctx, cfg.DataDir) {
		return nil, usage(fmt.Errorf("a server runs on this host with its store in %s; stop it first", cfg.DataDir))
	}
	engine, err := etcd.OpenEmbedded(ctx, etcd.Embedded{Dir: cfg.DataDir, Quota: int64(cfg.DataQuota) << 20, Log: log})
	if err != nil {
		return nil, err
	}
	return store.New(engine), nil
}

// servedWithin is how soon a server that works on a store outside shows that: it
// stores the reading of the fleet's clock once a second.
const servedWithin = 3 * time.Second

// unserved refuses a store outside on which a server works.
func unserved(ctx context.Context, s *store.Store) error {
	before, err := s.Get(ctx, store.KeyClock)
	if bos.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look whether a server works on the store: %w", err)
	}
	select {
	case <-time.After(servedWithin):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := s.Get(ctx, store.KeyClock)
	if err != nil {
		return fmt.Errorf("look whether a server works on the store: %w", err)
	}
	if after.Revision != before.Revision {
		return usage(errors.New("a server works on the store outside; stop all of them first"))
	}
	return nil
}

// redisRoots reads the CA of the original's Redis; nil stands for the system's.
func redisRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca-file: there is no certificate in %s", path)
	}
	return roots, nil
}

// served reports whether a server has its store in a folder.
func served(ctx context.Context, dir string) bool {
	path, err := etcd.SocketPath(dir)
	if err != nil {
		return false
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// writeSideFile writes what can't be taken into a file that only its owner can
// read: kernel parameters and tokens may be in it.
func writeSideFile(path string, plan *legacy.Plan) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the side file: %w", err)
	}
	err = plan.WriteLeft(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the side file %s: %w", path, err)
	}
	return nil
}

// redisPassword returns the password that is not in the URL.
func (p *program) redisPassword(path string) (string, error) {
	if path == "" {
		return p.getenv(redisPassword), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the password of redis: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("read the password of redis: %w", err)
	}
	password := strings.TrimSpace(string(text))
	if password == "" || len(text) > maxPasswordFile {
		return "", fmt.Errorf("read the password of redis: %s is empty or has more than %d bytes", path, maxPasswordFile)
	}
	return password, nil
}
