// SPDX-License-Identifier: MIT

package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// stopTimeout is how long a process that was told to end may take.
	stopTimeout = 15 * time.Second
	// lookPause is the pause between two looks at whether something is so.
	lookPause = 20 * time.Millisecond
	// tailBytes is how much of a process's log an error shows.
	tailBytes = 2000
)

// process is a program that was started for a measurement.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// start runs a program whose output goes to a file in dir. The settings of
// whoever runs the benchmark don't reach it: only its arguments count.
func start(dir, name, program string, args ...string) (*process, error) {
	log := filepath.Join(dir, name+".log")
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // the benchmark's own program, which is ended by a signal
	cmd.Stdout, cmd.Stderr = out, out
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "BOS_") && !strings.HasPrefix(setting, "S3_") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop tells the process to end and waits until it has.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s did not end within %v", p.name, stopTimeout)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// fault adds to an error what the process last wrote.
func (p *process) fault(err error) error {
	data, readErr := os.ReadFile(p.log)
	if readErr != nil || len(data) == 0 {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return fmt.Errorf("%s: %w; it last wrote:\n%s", p.name, err, data[max(0, len(data)-tailBytes):])
}

// looking is how many times as long as a look takes is waited before the next: the
// measurement must not be what the server is busy with.
const looking = 2

// until looks again and again whether something is so. It fails if the process
// (nil for none) ends or the time is over.
func until(ctx context.Context, p *process, timeout, pause time.Duration, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var ended <-chan struct{}
	if p != nil {
		ended = p.done
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-timer.C:
		case <-ended:
			return p.fault(errors.New("it ended"))
		case <-ctx.Done():
			err := errors.Join(fmt.Errorf("not within %v", timeout), last)
			if p != nil {
				return p.fault(err)
			}
			return err
		}
		began := time.Now()
		ok, err := so()
		if ok {
			return nil
		}
		last = err
		timer.Reset(max(pause, looking*time.Since(began)))
	}
}

// freePort returns a port of this host that nobody listens on at the moment.
func freePort() (int, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	if !ok {
		return 0, errors.New("find a free port: no TCP address")
	}
	return addr.Port, nil
}

// printed returns what follows a text in what the process has written.
func (p *process) printed(after string) (string, bool) {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return "", false
	}
	_, rest, found := strings.Cut(string(data), after)
	if !found {
		return "", false
	}
	word, _, whole := strings.Cut(rest, "\n")
	return strings.TrimSpace(word), whole
}

// usage is what a process has of memory, in MiB.
type usage struct {
	resident, peak, anonymous, file float64
}

// memoryOf reads /proc.
func memoryOf(pid int) (usage, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return usage{}, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return parseUsage(data)
}

func parseUsage(status []byte) (usage, error) {
	var u usage
	fields := map[string]*float64{"VmRSS": &u.resident, "VmHWM": &u.peak, "RssAnon": &u.anonymous, "RssFile": &u.file}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		into := fields[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return u, fmt.Errorf("read the memory of a process: %s: %w", name, err)
		}
		*into = kib / 1024
	}
	if u.resident == 0 {
		return u, errors.New("read the memory of a process: it has none")
	}
	return u, lines.Err()
}
