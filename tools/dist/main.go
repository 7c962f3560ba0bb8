// SPDX-License-Identifier: MIT

// Command dist makes what is given to users: for each platform a tarball with
// static binaries, man pages, shell completions, service files, and the licences
// of everything that is linked in; a bill of materials for each binary; and the
// checksums of all of it. The same commit gives the same bytes, wherever and
// whenever it is built with the same version of Go.
//
//	go run -C tools ./dist --version 1.2.3
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "dist: %v\n", err)
		os.Exit(1)
	}
}

// platform is an operating system and an architecture, as Go calls them.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "-" + p.arch }

// dist is one making of the packages.
type dist struct {
	// root is the folder of the repository, out the one of the packages.
	root, out string
	version   string
	// date is that of everything in the tarballs.
	date      time.Time
	platforms []platform
	stdout    io.Writer
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("dist", flag.ContinueOnError)
	root := fs.String("root", "..", "folder of the repository")
	out := fs.String("out", "", "folder for the packages; dist in the repository if none is given")
	version := fs.String("version", "", "version of the packages; what git describes if none is given")
	platforms := fs.String("platforms", "linux/amd64,linux/arm64", "platforms, as OS/ARCH with commas")
	if err := fs.Parse(args); err != nil {
		return err
	}
	d := &dist{version: *version, stdout: stdout}
	var err error
	if d.root, err = filepath.Abs(*root); err != nil {
		return err
	}
	if d.out = *out; d.out == "" {
		d.out = filepath.Join(d.root, "dist")
	}
	if d.out, err = filepath.Abs(d.out); err != nil {
		return err
	}
	for text := range strings.SplitSeq(*platforms, ",") {
		goos, arch, ok := strings.Cut(text, "/")
		if !ok {
			return fmt.Errorf("%q is not OS/ARCH", text)
		}
		d.platforms = append(d.platforms, platform{goos, arch})
	}
	if err := d.identify(ctx); err != nil {
		return err
	}
	return d.make(ctx)
}

// versionForm is what a version may look like: it becomes part of file names
// and of a flag of the linker.
var versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~-]*$`)

// identify finds out the version and the date that nobody has given: those of
// the commit.
func (d *dist) identify(ctx context.Context) error {
	if d.version == "" {
		described, err := d.output(ctx, nil, "git", "describe", "--tags", "--always", "--dirty")
		if err != nil {
			return fmt.Errorf("find out the version (give one with --version): %w", err)
		}
		d.version = strings.TrimPrefix(strings.TrimSpace(described), "v")
	}
	if !versionForm.MatchString(d.version) {
		return fmt.Errorf("%q can't be a version: letters, digits and .+~- are taken", d.version)
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		var err error
		if epoch, err = d.output(ctx, nil, "git", "log", "-1", "--format=%ct"); err != nil {
			return fmt.Errorf("find out the date of the commit (set SOURCE_DATE_EPOCH): %w", err)
		}
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(epoch), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %w", err)
	}
	d.date = time.Unix(seconds, 0).UTC()
	return nil
}

// make makes all packages in a folder beside the final one, which it replaces at
// the end: a run that fails leaves what was there.
func (d *dist) make(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Dir(d.out), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(d.out), ".dist-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	done := filepath.Join(work, "done")
	if err := os.Mkdir(done, 0o755); err != nil {
		return err
	}
	papers, err := d.papers(ctx, filepath.Join(work, "host"))
	if err != nil {
		return err
	}
	for _, p := range d.platforms {
		if err := d.pack(ctx, p, filepath.Join(work, p.String()), done, papers); err != nil {
			return fmt.Errorf("make the package for %s: %w", p, err)
		}
	}
	if err := d.chart(ctx, done); err != nil {
		return fmt.Errorf("pack the chart: %w", err)
	}
	sums, err := checksums(done)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(done, "SHA256SUMS"), sums, 0o644); err != nil { //nolint:gosec // everyone may read it
		return err
	}
	if err := os.RemoveAll(d.out); err != nil {
		return err
	}
	if err := os.Rename(done, d.out); err != nil {
		return err
	}
	_, err = d.stdout.Write(sums)
	return err
}

// pack makes what there is for one platform, in the folder done.
func (d *dist) pack(ctx context.Context, p platform, work, done string, papers []file) error {
	target := []string{"GOOS=" + p.os, "GOARCH=" + p.arch}
	if err := d.build(ctx, target, work); err != nil {
		return err
	}
	linked, err := d.linked(ctx, target)
	if err != nil {
		return err
	}
	ids := map[string]string{}
	for _, name := range programs() {
		if p.os == "linux" {
			if err := static(filepath.Join(work, name)); err != nil {
				return err
			}
		}
		sbom, err := d.bill(ctx, filepath.Join(work, name))
		if err != nil {
			return err
		}
		if err := licenceIDs(sbom, ids); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(done, fmt.Sprintf("%s-%s-%s.cdx.json", name, d.version, p)), sbom, 0o644); err != nil { //nolint:gosec // everyone may read it
			return err
		}
	}
	licences, err := collect(linked, ids)
	if err != nil {
		return err
	}
	files := append([]file{}, papers...)
	files = append(files, licences...)
	for _, name := range programs() {
		content, err := os.ReadFile(filepath.Join(work, name)) //nolint:gosec // of our own making
		if err != nil {
			return err
		}
		files = append(files, file{name: "bin/" + name, content: content, program: true})
	}
	base := fmt.Sprintf("bos-%s-%s", d.version, p)
	var packed bytes.Buffer
	if err := archive(&packed, base, d.date, files); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(done, base+".tar.gz"), packed.Bytes(), 0o644) //nolint:gosec // everyone may read it
}

// output runs a command in the repository and returns what it prints.
func (d *dist) output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the commands are constants
	cmd.Dir = d.root
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
