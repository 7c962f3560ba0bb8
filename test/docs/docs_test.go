// SPDX-License-Identifier: MIT

package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/test/port"
)

// pages is where the pages are.
const pages = "../../docs"

// patience bounds how long anything is waited for.
const patience = time.Minute

// The addresses that the pages name. The tests have others of their own.
const (
	docServer  = "127.0.0.1:9000"
	docControl = "127.0.0.1:27707"
)

// tested are the pages with commands, and how many of their blocks can't be run.
func tested() map[string]int {
	return map[string]int{
		"concepts.md":           0,
		"quickstart.md":         2,
		"tasks/boot.md":         0,
		"tasks/kubernetes.md":   2,
		"tasks/limit.md":        0,
		"tasks/slurm.md":        2,
		"tasks/stage.md":        0,
		"tasks/tenants.md":      0,
		"tasks/troubleshoot.md": 0,
		"tasks/upgrade.md":      2,
	}
}

// TestMain builds the programs that the pages use.
func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bos-docs-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.Command("go", "build", "-o", dir+"/", "bos/cmd/bos", "bos/cmd/bosd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// readSources looks into every folder that the programs are made of, so that
// go test sees what this test depends on and doesn't take an old result for new.
func readSources(t *testing.T) {
	t.Helper()
	for _, root := range []string{"../../cmd", "../../internal"} {
		err := filepath.WalkDir(root, func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPages(t *testing.T) {
	readSources(t)
	for page, want := range tested() {
		t.Run(page, func(t *testing.T) {
			// They wait, for the most part.
			t.Parallel()
			all := read(t, page)
			notRun := 0
			r := newReader(t)
			if page != "quickstart.md" {
				for _, b := range read(t, "quickstart.md") {
					if b.has("setup") || b.has("background") {
						r.do(b)
					}
				}
			}
			for _, b := range all {
				if b.has("no-run") {
					notRun++
				}
				r.do(b)
			}
			if notRun != want {
				t.Errorf("%d blocks are not run, want %d: say so in tested() if that is meant", notRun, want)
			}
			if os.Getenv("UPDATE") != "" {
				update(t, page, all)
			}
		})
	}
}

// TestEveryPage checks that no page has commands that nothing runs.
func TestEveryPage(t *testing.T) {
	// The pages before this test write commands as indented text.
	found := map[string]bool{}
	for _, pattern := range []string{"*.md", "tasks/*.md"} {
		files, err := filepath.Glob(filepath.Join(pages, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			page, err := filepath.Rel(pages, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range read(t, page) {
				if b.has("sh") || b.has("output") {
					found[page] = true
				}
			}
		}
	}
	want := map[string]bool{}
	for page := range tested() {
		want[page] = true
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("pages with commands (-tested +there):\n%s", diff)
	}
}

func read(t *testing.T, page string) []*block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pages, page))
	if err != nil {
		t.Fatal(err)
	}
	all, err := blocksOf(string(text))
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	return all
}

// update writes what was printed into a page.
func update(t *testing.T, page string, all []*block) {
	t.Helper()
	path := filepath.Join(pages, page)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i := len(all) - 1; i >= 0; i-- {
		if o := all[i].output; o != nil {
			end := o.line
			for lines[end] != "```" {
				end++
			}
			lines = append(lines[:o.line:o.line], append(strings.Split(o.text, "\n"), lines[end:]...)...)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reader types what a page says, in a folder of their own.
type reader struct {
	t *testing.T
	// dir is that folder, control the address where the site is broken.
	dir, server, control string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	return &reader{t: t, dir: t.TempDir(), server: port.Address(t)}
}

// command is a shell with commands of a page.
func (r *reader) command(ctx context.Context, text string) *exec.Cmd {
	text = strings.NewReplacer(docServer, r.server, docControl, r.control).Replace(text)
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	c.Dir = r.dir
	// The end of the shell is that of what it started.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "LC_ALL=C.UTF-8", "BOS_URL=http://" + r.server, "BOS_FORMAT=table",
		"BOS_LISTEN=" + r.server, "BOS_SITE_LISTEN=127.0.0.1:0", "BOS_REPORT_URL=http://" + r.server + "/apis/bos",
	}
	return c
}

// do does what a block says.
func (r *reader) do(b *block) {
	r.t.Helper()
	if name := b.value("file"); name != "" {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(b.text+"\n"), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	switch {
	case !b.runs():
	case b.has("background"):
		r.serve(b)
	default:
		r.run(b)
	}
}

// serve starts a program that serves until the test ends.
func (r *reader) serve(b *block) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	c := r.command(ctx, b.text)
	log, err := os.Create(filepath.Join(r.dir, fmt.Sprintf("background-%d.log", b.line)))
	if err != nil {
		r.t.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		r.t.Fatalf("line %d: %v", b.line, err)
	}
	r.t.Cleanup(func() {
		cancel()
		// It was killed.
		_ = c.Wait()
		_ = log.Close()
	})
	if strings.Contains(b.text, "bosd simulate") {
		place := regexp.MustCompile(`http://(\S+)/sim/state`)
		r.until("the simulated site", func() bool {
			text, err := os.ReadFile(filepath.Join(r.dir, "site.env"))
			found := place.FindSubmatch(text)
			// The images are its last words.
			if err != nil || found == nil || bytes.Count(text, []byte("# image")) < 3 {
				return false
			}
			r.control = string(found[1])
			return true
		})
		return
	}
	r.until("the server", func() bool {
		res, err := http.Get("http://" + r.server + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// run runs the commands of a block and compares what they print.
func (r *reader) run(b *block) {
	r.t.Helper()
	status := 0
	if text := b.value("exit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			r.t.Fatalf("line %d: exit=%s is no number", b.line, text)
		}
		status = n
	}
	var printed string
	var fault error
	wrong := false
	once := func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), patience)
		defer cancel()
		var out []byte
		out, err := r.command(ctx, b.text).CombinedOutput()
		printed, fault = strings.TrimRight(string(out), "\n"), nil
		got := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			got = exit.ExitCode()
		} else if err != nil {
			fault = err
			return false
		}
		if wrong = got != status; wrong {
			fault = fmt.Errorf("ended with %d, want %d", got, status)
		} else if b.output != nil {
			fault = shows(b.output.text, strings.NewReplacer(r.server, docServer, r.control, docControl).Replace(printed))
		}
		return fault == nil
	}
	if !once() && b.has("again") {
		r.soon(once)
	}
	if fault == nil {
		return
	}
	if os.Getenv("UPDATE") != "" && b.output != nil && !wrong {
		r.t.Logf("line %d: %v; written into the page", b.line, fault)
		b.output.text = strings.NewReplacer(r.server, docServer, r.control, docControl).Replace(printed)
		return
	}
	r.t.Fatalf("line %d: %s\n%v\nprinted:\n%s", b.line, b.text, fault, printed)
}

// soon looks again until something holds, and returns whether it did in time.
// What is waited for is in other processes.
func (r *reader) soon(holds func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	if os.Getenv("UPDATE") != "" {
		deadline.Reset(5 * time.Second)
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

// until is soon for what must hold.
func (r *reader) until(what string, holds func() bool) {
	r.t.Helper()
	if !r.soon(holds) {
		r.t.Fatalf("%s: not within %s", what, patience)
	}
}
