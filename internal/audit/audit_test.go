// SPDX-License-Identifier: MIT

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"bos/internal/xname"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a file on a disk that fills up, breaks and comes back as the test
// says.
type disk struct {
	mu      sync.Mutex
	data    bytes.Buffer
	synced  int
	room    int
	err     error
	openErr error
	opened  int
}

func newDisk() *disk { return &disk{room: 1 << 30, err: syscall.ENOSPC} }

func (d *disk) set(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

func (d *disk) open() (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	if d.openErr != nil {
		return nil, d.openErr
	}
	return onDisk{d}, nil
}

// durable returns how many bytes are, of how many.
func (d *disk) durable() (synced, all int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.synced, d.data.Len()
}

func (d *disk) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.data.String()
}

type onDisk struct{ *disk }

func (d onDisk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.data.Write(p[:n])
	d.room -= n
	if n < len(p) {
		return n, d.err
	}
	return n, nil
}

func (d onDisk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced = d.data.Len()
	return nil
}

func (onDisk) Close() error { return nil }

// begin starts a trail on a disk.
func begin(t *testing.T, d *disk) (*Trail, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	trail := &Trail{
		cfg:  Config{Path: "/var/log/bos/audit", Log: slog.New(slog.NewTextHandler(&log, nil))},
		open: d.open, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := trail.start(); err != nil {
		t.Fatal(err)
	}
	return trail, &log
}

func entry(id string) Entry {
	return Entry{Time: time.Now(), RequestID: id, Who: "sub:1", Method: "jwt", Roles: "admin", Operation: "patch_v2_options", Status: 200}
}

// ids returns the request ids of the lines of a text that are whole.
func ids(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.RequestID != "" {
			out = append(out, r.RequestID)
		}
	}
	return out
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestLine(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 26, 40, 123456789, time.FixedZone("", 3600))
	line, err := Entry{
		Time: at, Duration: 1234567 * time.Nanosecond, RequestID: "r-1", Who: "sub:1234", Display: "alice", Issuer: "https://idp", Method: "jwt",
		Roles: "admin", Address: "192.0.2.1:4711", ForwardedFor: "198.51.100.1", Tenant: "blue", Operation: "patch_v2_components",
		Resources: []string{"x1c0s1b0n0", "x1c0s0b0n0", "uan01"}, Status: 200,
	}.line()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-11-23T09:26:40.123456789Z","request_id":"r-1","who":"sub:1234","name":"alice","issuer":"https://idp","auth":"jwt",` +
		`"roles":"admin","address":"192.0.2.1:4711","forwarded_for":"198.51.100.1","tenant":"blue","operation":"patch_v2_components",` +
		`"resources":"x1c0s[0-1]b0n0,uan01","count":3,"status":200,"duration_ms":1.234}` + "\n"
	if diff := cmp.Diff(want, string(line)); diff != "" {
		t.Error(diff)
	}
	line, err = Entry{Time: at, Operation: "post_v2_session", Status: 403, Denied: "no\n", Method: "none", Roles: "none"}.line()
	if err != nil || !strings.Contains(string(line), `"status":403,"denied":"no\n"`) || strings.Count(string(line), "\n") != 1 {
		t.Errorf("%s, %v", line, err)
	}
}

// However long what a client sends is, a line is short, and is one line.
func TestLinesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(1, 2000).Draw(t, "times"))
		line, err := Entry{
			RequestID: text, Who: text, Display: text, Issuer: text, Address: text, ForwardedFor: text, Tenant: text, Denied: text,
			Resources: rapid.SliceOfN(rapid.String(), 0, 5000).Draw(t, "resources"),
		}.line()
		if err != nil || len(line) > 6*(9*maxText+maxResources) || bytes.Count(line, []byte("\n")) != 1 || !json.Valid(line) {
			t.Fatalf("%d bytes, %v", len(line), err)
		}
	})
}

// What is written of many resources names some of them, and no others.
func TestFoldIsTruthful(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringMatching(`x[1-9][0-9]{0,3}c[0-7]s[0-9]{1,2}b[01]n[0-3]`), 0, 3000).Draw(t, "names")
		text, truncated := fold(names)
		if len(text) > maxResources {
			t.Fatalf("%d bytes", len(text))
		}
		if text == "" {
			if len(names) > 0 {
				t.Fatal("nothing of something")
			}
			return
		}
		shown, err := xname.Expand(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		given := map[string]bool{}
		for _, name := range names {
			given[xname.Canonical(name)] = true
			given[name] = true
		}
		for _, name := range shown {
			if !given[name] {
				t.Fatalf("%s was not given", name)
			}
		}
		if !truncated && len(shown) > len(given) {
			t.Fatalf("%d of %d", len(shown), len(given))
		}
	})
}

func TestWriteAndSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		trail, _ := begin(t, d)
		trail.Write(entry("0"))
		synctest.Wait()
		if diff := cmp.Diff([]string{"0"}, ids(d.text())); diff != "" {
			t.Error(diff)
		}
		if synced, _ := d.durable(); synced != 0 {
			t.Error("every line waits for the disk")
		}
		time.Sleep(SyncEvery)
		synctest.Wait()
		if synced, all := d.durable(); synced != all {
			t.Errorf("after %v only %d of %d bytes are durable", SyncEvery, synced, all)
		}
		trail.Write(entry("1"))
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"0", "1"}, ids(d.text())); diff != "" {
			t.Error(diff)
		}
		if synced, all := d.durable(); synced != all {
			t.Errorf("at the end only %d of %d bytes are durable", synced, all)
		}
		trail.Write(entry("2"))
		if s := trail.Stats(); s.Written != 2 || s.Lost != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A disk that is full stops nobody: lines wait, and are all there, once and
// whole, when there is room again.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		trail, log := begin(t, d)
		trail.Write(entry("0"))
		synctest.Wait()
		d.set(100)
		for i := 1; i < 1000; i++ {
			trail.Write(entry(fmt.Sprint(i)))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s := trail.Stats()
		if !s.Failing || s.Waiting != 999 || s.Lost != 0 || s.Faults < 30 || s.Faults > 70 {
			t.Errorf("full: %+v", s)
		}
		if n := strings.Count(log.String(), "can't be written"); n != 1 || !strings.Contains(log.String(), "no space left on device") {
			t.Errorf("said %d times: %s", n, log)
		}
		d.set(1 << 30)
		time.Sleep(2 * retryPause)
		synctest.Wait()
		if diff := cmp.Diff(numbers(0, 1000), ids(d.text())); diff != "" {
			t.Error(diff)
		}
		if s := trail.Stats(); s.Failing || s.Waiting != 0 || s.Written != 1000 {
			t.Errorf("room again: %+v", s)
		}
		if n := strings.Count(log.String(), "can be written again"); n != 1 {
			t.Errorf("said %d times: %s", n, log)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Lines wait in bounded memory; those for which there is no room are counted,
// and the trail tells of them.
func TestLostLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		trail, _ := begin(t, d)
		d.set(0)
		for i := range mostWaiting + 500 {
			trail.Write(entry(fmt.Sprint(i)))
		}
		synctest.Wait()
		if s := trail.Stats(); s.Waiting != mostWaiting || s.Lost != 500 {
			t.Errorf("%+v", s)
		}
		d.set(1 << 30)
		time.Sleep(2 * retryPause)
		synctest.Wait()
		trail.Write(entry("after"))
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		got := ids(d.text())
		if diff := cmp.Diff(append(numbers(0, mostWaiting), "after"), got); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(d.text(), `"lost":500}`) {
			t.Error("the trail does not tell of the lines that were lost")
		}
	})
}

func TestCloseOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		trail, _ := begin(t, d)
		d.set(0)
		trail.Write(entry("0"))
		if err := trail.Close(); err == nil || err.Error() != "1 lines of the audit trail could not be written" {
			t.Error(err)
		}
	})
}

// However much room a disk has at each try, every line is there once as a
// whole, in order.
func TestTornLines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rooms := rapid.SliceOfN(rapid.IntRange(0, 700), 1, 20).Draw(rt, "rooms")
		each := rapid.IntRange(1, 5).Draw(rt, "lines")
		synctest.Test(t, func(t *testing.T) {
			d := newDisk()
			trail, _ := begin(t, d)
			n := 0
			for _, room := range rooms {
				d.set(room)
				for range each {
					trail.Write(entry(fmt.Sprint(n)))
					n++
				}
				time.Sleep(retryPause)
			}
			d.set(1 << 30)
			time.Sleep(2 * retryPause)
			if err := trail.Close(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(numbers(0, n), ids(d.text())); diff != "" {
				t.Errorf("%s of\n%s", diff, d.text())
			}
		})
	})
}

// Requests from nobody can't fill the disk; those of others are all written.
func TestDenialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		trail, _ := begin(t, d)
		for range 10 {
			for range 1000 {
				e := entry("denied")
				e.Status = 401
				trail.Write(e)
				e = entry("forbidden")
				e.Status = 403
				trail.Write(e)
			}
			time.Sleep(time.Second)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		denied := strings.Count(d.text(), `"request_id":"denied"`)
		if most := denialsBurst + 10*denialsPerSecond; denied > most || denied < denialsBurst {
			t.Errorf("%d lines, at most %d", denied, most)
		}
		if n := strings.Count(d.text(), `"request_id":"forbidden"`); n != 10_000 {
			t.Errorf("%d lines of those who are known", n)
		}
		if s := trail.Stats(); s.Suppressed != uint64(10_000-denied) {
			t.Errorf("%+v", s)
		}
	})
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	var log bytes.Buffer
	trail, err := New(Config{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	trail.Write(entry("0"))
	for trail.Stats().Written < 1 {
		// It is written in its own time; if it never is, the test does not end.
		trail.signal()
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	trail.Reopen()
	trail.Write(entry("1"))
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string][]string{path + ".1": {"0"}, path: {"1"}} {
		text, err := os.ReadFile(name)
		if diff := cmp.Diff(want, ids(string(text))); diff != "" || err != nil {
			t.Errorf("%s: %s%v", name, diff, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info, err)
	}
	if !strings.Contains(log.String(), "opened anew") {
		t.Error("the log does not say so")
	}
	if _, err := New(Config{Path: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
}

func TestReopenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		trail, log := begin(t, d)
		d.mu.Lock()
		d.openErr = errors.New("permission denied")
		d.mu.Unlock()
		trail.Reopen()
		trail.Write(entry("0"))
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"0"}, ids(d.text())); diff != "" || !strings.Contains(log.String(), "permission denied") {
			t.Errorf("%s%s", diff, log)
		}
	})
}

func TestStdout(t *testing.T) {
	var out bytes.Buffer
	trail, err := New(Config{Path: Stdout, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	trail.Write(entry("0"))
	if err := trail.Close(); err != nil || len(ids(out.String())) != 1 {
		t.Errorf("%s, %v", &out, err)
	}
}

func BenchmarkLine(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		e := entry("0")
		for i := range n {
			e.Resources = append(e.Resources, fmt.Sprintf("x%dc%ds%db0n%d", 1000+i/256, i/32%8, i/4%8, i%4))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.line(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
