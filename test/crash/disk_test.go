// SPDX-License-Identifier: MIT

package crash_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bos/test/rig"
)

// disk mounts a disk of its own for a test, so small that it can be filled.
func disk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// server is a bosd with its data in a folder.
func server(t *testing.T, dir string) (*rig.Process, *rig.API) {
	t.Helper()
	address := rig.Address(t)
	args, environ := rig.SiteArgs(nil)
	p := rig.New(t, "bosd", environ, append([]string{"serve", "--operators", "none", "--listen", address, "--data-dir", dir}, args...)...)
	return p, rig.NewAPI(t, address)
}

// put writes a component and reports whether that was acknowledged.
func put(t *testing.T, a *rig.API, id, text string) bool {
	t.Helper()
	answer, err := a.Try(t.Context(), http.MethodPut, "/v2/components/"+id, map[string]any{"error": text})
	return err == nil && answer.OK()
}

// ended waits until a process has ended by itself, and returns what it logged.
func ended(t *testing.T, p *rig.Process) string {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the process goes on")
	}
	if p.Ended() == nil {
		t.Error("the process ended as if all were well")
	}
	return p.Log()
}

// all checks that every component is there that was acknowledged.
func all(t *testing.T, a *rig.API, acknowledged []string) {
	t.Helper()
	a.Ready(0)
	var there []struct{ ID string }
	a.Get("/v2/components", &there)
	for _, id := range acknowledged {
		if !slices.ContainsFunc(there, func(c struct{ ID string }) bool { return c.ID == id }) {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	t.Logf("%d acknowledged, %d there", len(acknowledged), len(there))
}

// What was acknowledged before the disk was full is there when there is room
// again; meanwhile it is said what is wrong.
func TestDiskFull(t *testing.T) {
	// A log that ended in the midst of a record is copied when it is opened again:
	// there is room for two of its 64 MB files and for what etcd reserves.
	dir := disk(t, 300)
	p, a := server(t, filepath.Join(dir, "data"))
	p.Start()
	a.Ready(0)
	var acknowledged []string
	write := func(n int) bool {
		id := fmt.Sprintf("x%d", n)
		ok := put(t, a, id, strings.Repeat("e", 10000))
		if ok {
			acknowledged = append(acknowledged, id)
		}
		return ok
	}
	for n := range 50 {
		write(n)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<16)
	for err == nil {
		_, err = filler.Write(chunk)
	}
	if err := filler.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for n := 50; n < 20000 && write(n); n++ {
	}
	if log := ended(t, p); !strings.Contains(log, "no space left on device") || !strings.Contains(log, "Make room on the disk") {
		t.Errorf("it is not said what is wrong")
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	p.Start()
	all(t, a, acknowledged)
	if !put(t, a, "after", "") {
		t.Error("nothing can be written although there is room again")
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := disk(t, 200)
	p, a := server(t, filepath.Join(dir, "data"))
	p.Start()
	a.Ready(0)
	if !put(t, a, "x1", "") {
		t.Fatal("not written")
	}
	p.Stop()
	remount(t, dir, syscall.MS_RDONLY)
	p.Start()
	if log := ended(t, p); !strings.Contains(log, "read-only file system") {
		t.Errorf("it is not said what is wrong")
	}
	remount(t, dir, 0)
	p.Start()
	all(t, a, []string{"x1"})
}

// logFile returns the newest file of the store's log, and where the records in
// it end: each has its length in front, with padding in the highest byte.
func logFile(t *testing.T, dir string) (path string, data []byte, end int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no log: %v", err)
	}
	path = slices.Max(files)
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	for end+8 <= len(data) {
		field := binary.LittleEndian.Uint64(data[end:])
		if field == 0 {
			break
		}
		length := int(field & (1<<56 - 1))
		if field>>63 == 1 {
			length += int(field >> 56 & 7)
		}
		end += 8 + length
	}
	return path, data, end
}

// A record that was only half written when the power failed was never
// acknowledged; it is dropped, and nothing before it.
func TestTornLog(t *testing.T) {
	for name, tear := range map[string]func(data []byte, end int) []byte{
		// The file goes on with zeros, as it was laid out in advance.
		"a part, then nothing": func(data []byte, end int) []byte {
			torn := slices.Clone(data)
			binary.LittleEndian.PutUint64(torn[end:], 4096)
			for i := end + 8; i < end+500; i++ {
				torn[i] = 0x5a
			}
			return torn
		},
		"the file ends in the midst": func(data []byte, end int) []byte {
			torn := slices.Clone(data[:end])
			torn = binary.LittleEndian.AppendUint64(torn, 4096)
			return append(torn, make([]byte, 100)...)
		},
		"a length alone": func(data []byte, end int) []byte {
			torn := slices.Clone(data[:end])
			return append(torn, 0x10, 0, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, a := server(t, dir)
			p.Start()
			a.Ready(0)
			var acknowledged []string
			for n := range 40 {
				if id := fmt.Sprintf("x%d", n); put(t, a, id, "") {
					acknowledged = append(acknowledged, id)
				}
			}
			p.Kill()
			path, data, end := logFile(t, dir)
			if err := os.WriteFile(path, tear(data, end), 0o600); err != nil {
				t.Fatal(err)
			}
			p.Start()
			all(t, a, acknowledged)
		})
	}
}

// A log that is damaged before its end is not repaired behind anybody's back.
func TestDamagedLog(t *testing.T) {
	dir := t.TempDir()
	p, a := server(t, dir)
	p.Start()
	a.Ready(0)
	for n := range 20 {
		put(t, a, fmt.Sprintf("x%d", n), "")
	}
	p.Kill()
	path, data, end := logFile(t, dir)
	data[end-1000] ^= 0xff
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Start()
	if log := ended(t, p); !strings.Contains(log, "the log is damaged") || !strings.Contains(log, "bosd restore") {
		t.Errorf("it is not said what is wrong")
	}
}
