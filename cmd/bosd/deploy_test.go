// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A service manager is told when the API answers, and when the end begins.
func TestNotifiesTheServiceManager(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	t.Setenv("NOTIFY_SOCKET", socket)
	if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	hears := func(want string) {
		t.Helper()
		message := make([]byte, 1024)
		n, err := manager.Read(message)
		if err != nil || string(message[:n]) != want {
			t.Fatalf("the service manager heard %q, error %v; want %q", message[:n], err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan int, 1)
	go func() {
		status, _, _ := bosd(ctx, nil, "serve", "--simulate", "2", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"))
		done <- status
	}()
	hears("READY=1")
	cancel()
	hears("STOPPING=1")
	if status := <-done; status != exitOK {
		t.Errorf("status %d", status)
	}
}

// deployed are files of ours that set variables of bosd, beside those of units.
func deployed(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"systemd/bosd*.service", "systemd/bosd.service.d/*.conf", "quadlet/*.env", "Containerfile"} {
		found, err := filepath.Glob(filepath.Join("../../deploy", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("there is no deploy/%s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	return files
}

// Every variable that the service files set, or show commented out, is a setting
// of bosd, and has a value that it takes.
func TestServiceFilesSetWhatThereIs(t *testing.T) {
	credentials := t.TempDir()
	assignment := regexp.MustCompile(`\b((?:BOS|S3)_[A-Z0-9_]+)=([^\s\\]*)`)
	for _, name := range deployed(t) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var environ []string
		for lines := bufio.NewScanner(f); lines.Scan(); {
			line := lines.Text()
			if strings.HasPrefix(line, "# ") {
				continue
			}
			for _, m := range assignment.FindAllStringSubmatch(line, -1) {
				value := strings.ReplaceAll(strings.ReplaceAll(m[2], "%d", credentials), "%l", "bos-0")
				value = strings.ReplaceAll(value, "/etc/bos", credentials)
				if strings.HasPrefix(value, credentials) {
					content := ""
					if strings.HasSuffix(value, ".yaml") {
						content = "{}\n"
					}
					if err := os.WriteFile(value, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				environ = append(environ, m[1]+"="+value)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "Containerfile") {
			environ = append(environ, "BOS_AUTH=none")
		}
		if strings.HasSuffix(name, "cluster.conf") {
			environ = append(environ, "BOS_LISTEN=127.0.0.1:9000")
		}
		if len(environ) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		if status, _, stderr := bosd(t.Context(), environ, "config"); status != exitOK || stderr != "" {
			t.Errorf("%s: status %d: %s", name, status, stderr)
		}
	}
}

// The settings of a host that we hand out are taken, also where they are only
// shown.
func TestSettingsOfAHost(t *testing.T) {
	text, err := os.ReadFile("../../deploy/systemd/bosd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Of a setting that is there twice, the one that is shown.
	shown := regexp.MustCompile(`(?m)^# ([a-z0-9-]+: )`).ReplaceAllString(string(text), "$1")
	shown = strings.Replace(shown, "listen: 127.0.0.1:9000\n", "", 1)
	shown = strings.NewReplacer("/var/log/bos", t.TempDir(), "/var/lib/bos", t.TempDir()).Replace(shown)
	for what, content := range map[string]string{"as it is": string(text), "as it shows": shown} {
		file := filepath.Join(t.TempDir(), "bosd.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, _, stderr := bosd(t.Context(), nil, "config", "--config", file); status != exitOK || stderr != "" {
			t.Errorf("%s: status %d: %s", what, status, stderr)
		}
	}
}
