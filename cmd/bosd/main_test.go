// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bosd runs a command line in this process.
func bosd(ctx context.Context, environ []string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, environ, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestVersion(t *testing.T) {
	status, stdout, stderr := bosd(t.Context(), nil, "version")
	if status != exitOK || !strings.HasPrefix(stdout, "bosd ") || strings.TrimSpace(stdout) == "bosd" || stderr != "" {
		t.Errorf("status %d, %q, %q", status, stdout, stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"nosuch", `unknown command "nosuch"`},
		{"version extra", `"extra"`},
		{"config --nosuch", "--nosuch"},
		{"demo --nodes 0", "nodes: it must be from 1"},
		{"demo --nodes many", "many"},
		{"demo --output yaml", "output:"},
		{"demo --time-scale 2", "time-scale:"},
		{"demo --faults all", "faults"},
		{"serve --listen nowhere", "listen:"},
		{"serve --listen 0.0.0.0:0", "--auth none"},
		{"operator", "power-on"},
		{"operator nobody --etcd-endpoints http://127.0.0.1:1", "nobody"},
		{"operator power-on", "etcd-endpoints: it is needed"},
		{"operator power-on --etcd-endpoints http://127.0.0.1:1 --metrics-listen :9001", "--auth-open-metrics"},
		{"simulate --site-listen 1.2.3.4", "site-listen:"},
	} {
		status, stdout, stderr := bosd(t.Context(), nil, strings.Fields(c.args)...)
		if status != exitUsage || !strings.Contains(stderr, c.says) || stdout != "" {
			t.Errorf("bosd %s: status %d, says %q and %q", c.args, status, stdout, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := bosd(t.Context(), nil)
	if status != exitOK || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
	for _, command := range []string{"serve", "operator", "simulate", "demo", "config", "version"} {
		if !strings.Contains(stdout, "\n  "+command+" ") {
			t.Errorf("the help does not name %s:\n%s", command, stdout)
		}
	}
}

func TestConfigHidesSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bosd.yaml")
	if err := os.WriteFile(file, []byte("etcd-username: bos\netcd-password: from-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"S3_ACCESS_KEY=access-of-the-site", "S3_SECRET_KEY=secret-of-the-site", "BOS_LISTEN=127.0.0.1:9999",
		"BOS_HSM_URL=http://user:password-of-hsm@smd/hsm/v2",
	}
	status, stdout, stderr := bosd(t.Context(), environ, "config", "--config", file, "--cfs-url", "none")
	for _, secret := range []string{"from-the-file", "access-of-the-site", "secret-of-the-site", "password-of-hsm"} {
		if strings.Contains(stdout, secret) || strings.Contains(stderr, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	for _, line := range []string{
		"s3-secret-key: (hidden) # env S3_SECRET_KEY", "etcd-password: (hidden) # file", "listen: 127.0.0.1:9999 # env BOS_LISTEN",
		"cfs-url: none # flag", "data-dir: ./bos-data # default",
	} {
		if !strings.Contains(stdout, line+"\n") {
			t.Errorf("there is no line %q in\n%s", line, stdout)
		}
	}
	// Credentials in a URL are refused, but what is effective is shown.
	if status != exitUsage || !strings.Contains(stderr, "hsm-url:") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// outcome is the JSON of the demonstration.
type outcome struct {
	Nodes      int
	Operations []struct {
		Operation         string
		Succeeded, Failed int
	}
	Faults []struct{ Node, Injected, Reported string }
}

func TestDemo(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "demo.log")
	status, stdout, stderr := bosd(t.Context(), nil, "demo", "--nodes", "4", "--output", "json", "--log-file", log)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	var got outcome
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("the output is not one line of JSON: %v\n%s", err, stdout)
	}
	if got.Nodes != 4 || len(got.Operations) != 3 || len(got.Faults) != 0 {
		t.Errorf("got %+v", got)
	}
	for i, name := range []string{"boot", "reboot", "shutdown"} {
		if op := got.Operations[i]; op.Operation != name || op.Succeeded != 4 || op.Failed != 0 {
			t.Errorf("operation %d is %+v, want 4 nodes that succeeded to %s", i, op, name)
		}
	}
	if !strings.Contains(stderr, "reboot: ended after") {
		t.Errorf("the progress does not say when an operation ends:\n%s", stderr)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "the session is complete") {
		t.Errorf("the log: %v, %d bytes", err, len(text))
	}
}

func TestDemoAsText(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := bosd(t.Context(), nil, "demo", "--nodes", "2", "--time-scale", "0.002")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, text := range []string{"boot: ended after", "operation     nodes", "\nshutdown          2          2        0"} {
		if !strings.Contains(stdout, text) {
			t.Errorf("there is no %q in\n%s", text, stdout)
		}
	}
}

func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status, _, stderr := bosd(ctx, nil, "demo", "--nodes", "2"); status != exitFailed || !strings.Contains(stderr, "interrupted") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// stopTimeout is how soon a process must be gone after Ctrl-C.
const stopTimeout = 5 * time.Second

// process starts bosd as a process of its own, with its temporary files in a
// folder, and returns the lines that it writes to its standard output.
func process(t *testing.T, temp string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temp)
	c.Stderr = t.Output()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewScanner(out)
}

// interrupt sends Ctrl-C and waits until the process is gone.
func interrupt(t *testing.T, c *exec.Cmd, lines *bufio.Scanner) int {
	t.Helper()
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(stopTimeout, func() {
		t.Errorf("it still runs %s after Ctrl-C", stopTimeout)
		_ = c.Process.Kill()
	})
	defer late.Stop()
	for lines.Scan() {
		t.Log(lines.Text())
	}
	_ = c.Wait()
	return c.ProcessState.ExitCode()
}

func TestDemoKeepsServing(t *testing.T) {
	t.Parallel()
	c, lines := process(t, t.TempDir(), "demo", "--nodes", "2", "--time-scale", "0.002", "--keep")
	url := ""
	for url == "" && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "BOS goes on serving at "); ok {
			url = strings.Fields(after)[0]
		}
	}
	if url == "" {
		t.Fatal("it does not say where it serves")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/sessions/demo-boot", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the session of the demonstration: %s", res.Status)
	}
	if status := interrupt(t, c, lines); status != exitOK {
		t.Errorf("status %d", status)
	}
}

// Ctrl-C in the midst of an operation ends everything, and leaves nothing.
func TestDemoCtrlC(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	c, lines := process(t, temp, "demo", "--nodes", "64", "--time-scale", "1")
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "boot:") {
		t.Log(lines.Text())
	}
	if status := interrupt(t, c, lines); status != exitFailed {
		t.Errorf("status %d", status)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

func TestServeCtrlC(t *testing.T) {
	t.Parallel()
	c, lines := process(t, t.TempDir(), "simulate", "--nodes", "2", "--site-listen", "127.0.0.1:0")
	for lines.Scan() && !strings.Contains(lines.Text(), "/sim/state") {
		t.Log(lines.Text())
	}
	if status := interrupt(t, c, lines); status != exitOK {
		t.Errorf("simulate: status %d", status)
	}
}
