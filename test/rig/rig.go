// SPDX-License-Identifier: MIT

// Package rig runs real bosd processes on this host around a simulated site,
// for tests that kill, stop and cut off what is meant to survive that. What the
// site received is the judge of what they did.
package rig

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bos/internal/sim"
	"bos/test/port"
)

// Number returns how large a test is to be: the environment's number, or the
// one for every day.
func Number(t testing.TB, name string, everyday int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return everyday
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number from 1 on", name, text)
	}
	return n
}

// atOnce is how many parallel tests run at a time, if the command line does not
// say: they wait for processes, for the most part, and not for the processor.
const atOnce = 8

// Main runs the tests of a package with a bosd that is built for them, or the
// one that BOSD names, and returns the exit status.
func Main(m *testing.M) int {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if os.Getenv("BOSD") != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "bos-rig-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "bosd")
	build := exec.Command("go", "build", "-o", program, "bos/cmd/bosd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build bosd: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("BOSD", program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Address returns an address of this host that nobody uses.
func Address(t testing.TB) string {
	t.Helper()
	return port.Address(t)
}

// Site starts a simulated site that lives as long as the test.
func Site(t testing.TB, cfg sim.Config) *sim.Site {
	t.Helper()
	s := sim.New(cfg)
	if err := s.Start(); err != nil {
		t.Fatalf("start the site: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// SiteArgs are the arguments that lead bosd to a site; nil is none at all, for
// tests of the API alone.
func SiteArgs(s *sim.Site) (args, environ []string) {
	if s == nil {
		return []string{
			"--hsm-url", "http://127.0.0.1:1", "--pcs-url", "http://127.0.0.1:1", "--bss-url", "http://127.0.0.1:1",
			"--cfs-url", "none", "--ims-url", "none", "--tapms-url", "none",
		}, nil
	}
	u := s.URLs()
	return []string{
			"--hsm-url", u.HSM, "--pcs-url", u.PCS, "--bss-url", u.BSS, "--cfs-url", u.CFS, "--ims-url", u.IMS, "--tapms-url", u.TAPMS,
		}, []string{
			"S3_PROTOCOL=http", "S3_GATEWAY=" + u.S3Endpoint, "S3_ACCESS_KEY=" + u.S3AccessKey, "S3_SECRET_KEY=" + u.S3SecretKey,
		}
}

// maxLog bounds what is kept of a process's log in bytes.
const maxLog = 4 << 20

// logBuffer keeps the end of a log.
type logBuffer struct {
	mu   sync.Mutex
	data []byte
}

// Write implements [io.Writer].
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	if len(b.data) > maxLog {
		b.data = append([]byte(nil), b.data[len(b.data)-maxLog/2:]...)
	}
	return len(p), nil
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}

// Process is a bosd that can be started again and again with the same
// arguments.
type Process struct {
	t       testing.TB
	name    string
	args    []string
	environ []string
	// program is another bosd than the tests'; "" is theirs.
	program string
	log     logBuffer

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// New describes a process; it is killed when the test ends, and its log shown if
// the test failed.
func New(t testing.TB, name string, environ []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, args: args, environ: environ}
	t.Cleanup(func() {
		p.Kill()
		if dir := os.Getenv("TEST_LOGS"); dir != "" {
			// The whole logs, of tests that went well too, for whoever looks for more.
			path := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+"-"+name+".log")
			if err := os.WriteFile(path, []byte(p.Log()), 0o600); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, tail(p.Log(), 12000))
		}
	})
	return p
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// Use has the next start run another build of bosd; "" is that of the tests.
func (p *Process) Use(program string) { p.program = program }

// Start starts the process.
func (p *Process) Start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(cmp.Or(p.program, os.Getenv("BOSD")), p.args...)
	cmd.Env = append(os.Environ(), p.environ...)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(done)
	}()
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Log returns the end of what all runs of the process have logged.
func (p *Process) Log() string { return p.log.String() }

// Signal sends the process a signal; it is no error if it has ended.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %s: %v", p.name, err)
	}
}

// Kill ends the process without a warning.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	if done := p.Done(); done != nil {
		<-done
	}
}

// Stop asks the process to end, which it must do well and soon.
func (p *Process) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%s does not end", p.name)
	}
	if err := p.Ended(); err != nil {
		p.t.Errorf("%s ended: %v", p.name, err)
	}
}

// Ended returns how the process ended; nil for well.
func (p *Process) Ended() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Command runs a bosd to its end, which must be good, and returns what it
// printed.
func Command(t testing.TB, stdin io.Reader, args ...string) string {
	t.Helper()
	out, errs, err := TryCommand(stdin, args...)
	if err != nil {
		t.Fatalf("bosd %v: %v\n%s", args, err, errs)
	}
	return out
}

// TryCommand runs a bosd to its end.
func TryCommand(stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Getenv("BOSD"), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
