// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/test/port"
)

// freeAddress returns an address of this host that nobody uses.
func freeAddress(t *testing.T) string {
	t.Helper()
	return port.Address(t)
}

// command carries out a command line that must end well, and returns what it
// printed.
func command(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), args, nil, strings.NewReader(stdin), &stdout, &stderr); status != exitOK {
		t.Fatalf("bosd %v ended with %d: %s", args, status, stderr.String())
	}
	return stdout.String()
}

// refused carries out a command line that must not end well, and returns what
// it says.
func refused(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), args, nil, strings.NewReader(""), &stdout, &stderr); status != want {
		t.Fatalf("bosd %v ended with %d: %s", args, status, stderr.String())
	}
	return stderr.String()
}

// serving runs a server until stop is called, and returns its address once it is
// ready.
func serving(t *testing.T, args ...string) (address string, stop func()) {
	t.Helper()
	address = freeAddress(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	var log bytes.Buffer
	args = append([]string{
		"serve", "--listen", address, "--cfs-url", "none", "--ims-url", "none", "--tapms-url", "none",
		"--hsm-url", "http://127.0.0.1:1", "--pcs-url", "http://127.0.0.1:1", "--bss-url", "http://127.0.0.1:1",
	}, args...)
	done.Go(func() {
		if status := run(ctx, args, nil, strings.NewReader(""), io.Discard, &log); status != exitOK {
			t.Errorf("bosd %v ended with %d: %s", args, status, log.String())
		}
	})
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(stop)
	wait, over := context.WithTimeout(t.Context(), time.Minute)
	defer over()
	for {
		res, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return address, stop
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-wait.Done():
			t.Fatalf("the server is not ready: %v", err)
		}
	}
}

// call sends a request that must succeed and returns the answer's body.
func call(t *testing.T, method, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, url, res.StatusCode, data, err)
	}
	return string(data)
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	first, copied, again := filepath.Join(dir, "first"), filepath.Join(dir, "copy.gz"), filepath.Join(dir, "again")
	address, stop := serving(t, "--data-dir", first)
	call(t, http.MethodPut, "http://"+address+"/v2/components", `[{"id":"x1","error":"kept"},{"id":"x2"}]`)
	command(t, "", "backup", "--data-dir", first, copied)
	text := command(t, "", "backup", "--data-dir", first)
	if got := refused(t, exitUsage, "restore", copied, "--data-dir", first); !strings.Contains(got, "not empty") {
		t.Errorf("restored over a store that is in use: %s", got)
	}
	stop()
	if got := refused(t, exitUsage, "backup", "--data-dir", first+"x"); !strings.Contains(got, "no server runs") {
		t.Errorf("backup of nothing: %s", got)
	}
	if got := command(t, "", "restore", "--verify", copied); !strings.Contains(got, "whole: ") {
		t.Errorf("verify: %s", got)
	}
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, []byte(text[:len(text)-20]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := refused(t, exitFailed, "restore", damaged, "--data-dir", again); !strings.Contains(got, "cut short or damaged") {
		t.Errorf("restored from a damaged copy: %s", got)
	}
	if _, err := os.Stat(again); err == nil {
		t.Error("a damaged copy made a store")
	}
	command(t, text, "restore", "-", "--data-dir", again)
	address, _ = serving(t, "--data-dir", again)
	var components []struct{ ID, Error string }
	if err := json.Unmarshal([]byte(call(t, http.MethodGet, "http://"+address+"/v2/components", "")), &components); err != nil {
		t.Fatal(err)
	}
	if len(components) != 2 || components[0].Error != "kept" {
		t.Errorf("restored: %+v", components)
	}
}

// One that was started to grow gets a second member without a restart; the
// members are looked after from either host.
func TestClusterCommands(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	clients := freeAddress(t)
	serving(t, "--data-dir", one, "--cluster-name", "one", "--cluster-listen", freeAddress(t), "--cluster-client-listen", clients)
	address, stop := serving(t, "--data-dir", two, "--cluster-name", "two", "--cluster-listen", freeAddress(t), "--cluster-join", clients)
	call(t, http.MethodPut, "http://"+address+"/v2/components", `[{"id":"x1"}]`)
	type member struct{ ID, Name, Role, State string }
	list := func(args ...string) map[string]member {
		var members []member
		if err := json.Unmarshal([]byte(command(t, "", append([]string{"cluster", "list", "--output", "json"}, args...)...)), &members); err != nil {
			t.Fatal(err)
		}
		byName := map[string]member{}
		for _, m := range members {
			byName[m.Name] = m
		}
		return byName
	}
	for _, where := range [][]string{{"--etcd-endpoints", clients}, {"--data-dir", two}} {
		members := list(where...)
		if len(members) != 2 || members["one"].Role == members["two"].Role || members["one"].State != "up" {
			t.Errorf("%v: %+v", where, members)
		}
	}
	if got := refused(t, exitUsage, "cluster", "remove", "nonsense", "--data-dir", one); !strings.Contains(got, "not the ID") {
		t.Error(got)
	}
	if got := refused(t, exitFailed, "cluster", "promote", list("--data-dir", one)["two"].ID, "--data-dir", one); !strings.Contains(got, "it has its vote already") {
		t.Error(got)
	}
	stop()
	// Without a majority the member that is left goes on only when that is meant.
	if got := refused(t, exitUsage, "cluster", "recover", "--data-dir", two); !strings.Contains(got, "--yes") {
		t.Error(got)
	}
	command(t, "", "cluster", "recover", "--data-dir", two, "--yes")
	address, _ = serving(t, "--data-dir", two)
	if got := call(t, http.MethodGet, "http://"+address+"/v2/components", ""); !strings.Contains(got, "x1") {
		t.Errorf("recovered: %s", got)
	}
}
