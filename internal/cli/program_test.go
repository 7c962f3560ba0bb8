// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestProgramIsSmall keeps what belongs to the server out of the program that
// starts on every node.
func TestProgramIsSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "bos/cmd/bos").Output()
	if err != nil {
		t.Fatal(err)
	}
	own := []string{
		"bos/cmd/bos", "bos/internal/cli", "bos/internal/client", "bos/internal/bos", "bos/internal/xname",
		"bos/internal/api/apitypes", "bos/internal/reporter", "bos/internal/manual", "bos/internal/version",
	}
	for name := range strings.FieldsSeq(string(out)) {
		foreign := strings.HasPrefix(name, "go.etcd.io/") || strings.HasPrefix(name, "google.golang.org/") ||
			strings.HasPrefix(name, "k8s.io/")
		if foreign || strings.HasPrefix(name, "bos/") && !slices.Contains(own, name) {
			t.Errorf("the program links %s", name)
		}
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]string{"major": "2", "minor": "50", "patch": "0"})
	}))
	// The handshakes that are to fail are nothing to log.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"BOS_URL": server.URL}
	if status, _, stderr := runBOS(t, env, "version"); status != exitUsage || !strings.Contains(stderr, "its certificate is not trusted") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
	for _, args := range [][]string{
		{"version", "--ca-file", file},
		{"version", "--insecure-skip-verify"},
	} {
		if status, _, stderr := runBOS(t, env, args...); status != exitOK {
			t.Errorf("%v: exit status %d: %s", args, status, stderr)
		}
	}
	for _, wrong := range []string{filepath.Join(t.TempDir(), "none"), "program_test.go"} {
		if status, _, stderr := runBOS(t, env, "version", "--ca-file", wrong); status != exitUsage {
			t.Errorf("%s: exit status %d: %s", wrong, status, stderr)
		}
	}
}

// TestOutputThatIsLost fails what can't be written.
func TestOutputThatIsLost(t *testing.T) {
	url, _ := newServer(t)
	var stderr strings.Builder
	status := Main(t.Context(), System{
		Args: []string{"options", "list", "--url", url}, Stdout: full{}, Stderr: &stderr,
		Getenv: func(string) string { return "" },
	})
	if status != exitUsage || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit status %d: %s", status, stderr.String())
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }
