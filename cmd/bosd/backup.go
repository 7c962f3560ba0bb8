// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"bos/internal/app"
	"bos/internal/config"
	"bos/internal/snapshot"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

// standard stands for the standard input or output in place of a file.
const standard = "-"

// remote is how a command reaches the store of a server that runs: at the
// endpoints that were given, else by the socket in its data folder.
func remote(cfg *config.Config, log *slog.Logger) (etcd.Remote, error) {
	if len(cfg.EtcdEndpoints) > 0 {
		return app.Remote(cfg, log)
	}
	path, err := etcd.SocketPath(cfg.DataDir)
	if err != nil {
		return etcd.Remote{}, usage(fmt.Errorf("%w; give --etcd-endpoints", err))
	}
	if _, err := os.Stat(path); err != nil {
		return etcd.Remote{}, usage(fmt.Errorf("no server runs on this host with its store in %s: %w; "+
			"give its --data-dir, or --etcd-endpoints of the store", cfg.DataDir, err))
	}
	return etcd.Remote{Endpoints: []string{"unix://" + path}, Log: log}, nil
}

func (p *program) backup() *cobra.Command {
	cfg := config.Default()
	c := &cobra.Command{
		Use: "backup [FILE]", Short: "Copy the store of a running server to a file, or to the standard output",
		Long: "Copies everything that is in the store, as it was at one moment, while the\n" +
			"server goes on. The file is compressed if its name ends in .gz. The store is\n" +
			"reached on the server's own host by its data folder, and from elsewhere by its\n" +
			"addresses for clients (--etcd-endpoints).",
		Example: "  bosd backup --data-dir /var/lib/bos bos.snapshot.gz\n" +
			"  bosd backup --etcd-endpoints https://bos-0:2379 --etcd-ca-file ca.pem > bos.snapshot",
		Args: atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			path := standard
			if len(args) == 1 {
				path = args[0]
			}
			return p.runBackup(c.Context(), cfg, path)
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupEmbedded, config.GroupEtcd)
	return c
}

func atMostOne(c *cobra.Command, args []string) error {
	if err := cobra.MaximumNArgs(1)(c, args); err != nil {
		return usage(err)
	}
	return nil
}

func (p *program) runBackup(ctx context.Context, cfg *config.Config, path string) (err error) {
	log, _ := p.logger(cfg)
	where, err := remote(cfg, log)
	if err != nil {
		return err
	}
	engine, err := etcd.OpenRemote(ctx, where)
	if err != nil {
		return err
	}
	s := store.New(engine)
	defer func() { err = errors.Join(err, s.Close()) }()
	if path == standard {
		_, err = snapshot.Write(ctx, s, p.stdout, false, time.Now())
		return err
	}
	info, err := snapshot.Save(ctx, s, path, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stderr, "%d documents, as they were at %s (revision %d), are in %s\n",
		info.Count, info.Taken.Format(time.RFC3339), info.Revision, path)
	return err
}

func (p *program) restore() *cobra.Command {
	cfg := config.Default()
	verify := false
	c := &cobra.Command{
		Use: "restore FILE", Short: "Fill an empty store from a copy",
		Long: "Fills the store in an empty data folder, or an empty cluster outside\n" +
			"(--etcd-endpoints), from a file that bosd backup has made; - is the standard\n" +
			"input. The copy is checked first, and nothing is written if it is not whole. A\n" +
			"store that has data is refused. Start the server when it is done; further\n" +
			"members of a cluster join it with empty folders.",
		Example: "  bosd restore --data-dir /var/lib/bos bos.snapshot.gz\n  bosd restore --verify bos.snapshot.gz",
		Args: func(c *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(c, args); err != nil {
				return usage(err)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			return p.runRestore(c.Context(), cfg, args[0], verify)
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupEmbedded, config.GroupEtcd)
	c.Flags().BoolVar(&verify, "verify", false, "only check whether the copy is whole")
	return c
}

func (p *program) runRestore(ctx context.Context, cfg *config.Config, path string, verify bool) (err error) {
	from, err := p.open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	info, err := snapshot.Verify(from)
	if err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	if verify {
		_, err := fmt.Fprintf(p.stdout, "whole: %d documents, as they were at %s (revision %d, schema version %d)\n",
			info.Count, info.Taken.Format(time.RFC3339), info.Revision, info.Version)
		return err
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	log, _ := p.logger(cfg)
	engine, undo, err := empty(ctx, cfg, log)
	if err != nil {
		return err
	}
	s := store.New(engine)
	_, err = snapshot.Restore(ctx, s, from)
	if err = errors.Join(err, s.Close()); err != nil {
		return errors.Join(err, undo())
	}
	_, err = fmt.Fprintf(p.stderr, "%d documents, as they were at %s, are restored\n", info.Count, info.Taken.Format(time.RFC3339))
	return err
}

// file is what a snapshot is read from.
type file interface {
	io.ReadSeekCloser
}

// spool is a copy of the standard input, which ends with its use.
type spool struct{ *os.File }

// Close removes the copy.
func (s spool) Close() error { return errors.Join(s.File.Close(), os.Remove(s.Name())) }

// open opens a snapshot. What comes from the standard input is kept in a file
// first: it is read twice.
func (p *program) open(path string) (file, error) {
	if path != standard {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage(err)
		}
		return f, nil
	}
	f, err := os.CreateTemp("", "bos-restore-*")
	if err != nil {
		return nil, fmt.Errorf("keep the standard input: %w", err)
	}
	s := spool{f}
	if _, err := io.Copy(f, p.stdin); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the standard input: %w", err), s.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the standard input: %w", err), s.Close())
	}
	return s, nil
}

// empty opens the store to restore into, and returns how to make it empty again.
func empty(ctx context.Context, cfg *config.Config, log *slog.Logger) (*etcd.Engine, func() error, error) {
	if len(cfg.EtcdEndpoints) > 0 {
		where, err := app.Remote(cfg, log)
		if err != nil {
			return nil, nil, err
		}
		engine, err := etcd.OpenRemote(ctx, where)
		return engine, func() error {
			return errors.New("the store outside may hold a part of the copy; empty it before the next try")
		}, err
	}
	if err := checkEmpty(cfg.DataDir); err != nil {
		return nil, nil, err
	}
	engine, err := etcd.OpenEmbedded(ctx, etcd.Embedded{Dir: cfg.DataDir, Quota: int64(cfg.DataQuota) << 20, Log: log})
	return engine, func() error { return etcd.RemoveData(cfg.DataDir) }, err
}

// checkEmpty refuses a folder in which anything is; one that is not there is
// empty.
func checkEmpty(dir string) error {
	all, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the data folder: %w", err)
	}
	for _, entry := range all {
		// A file system of its own has this from the beginning.
		if entry.Name() != "lost+found" {
			return usage(fmt.Errorf("%s is not empty (it has %s): a copy is restored into an empty folder only. "+
				"Move what is there away first, if it is not needed any more", dir, entry.Name()))
		}
	}
	return nil
}
