// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bos/internal/manual"
)

// The reference is generated from the commands; 'go generate ./cmd/bosd' does it.
func TestReferenceIsFresh(t *testing.T) {
	have, err := os.ReadFile("../../docs/bosd.md")
	if err != nil {
		t.Fatal(err)
	}
	want := manual.Reference((&program{}).root(), referenceHead)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(have), "\n")); diff != "" {
		t.Errorf("docs/bosd.md is stale; run 'go generate ./cmd/bosd':\n%s", diff)
	}
}

// Each command has a man page, with each of its flags, the same in every build.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	status, stdout, stderr := bosd(t.Context(), []string{"SOURCE_DATE_EPOCH=1795641408"}, "man", dir)
	if status != exitOK || stdout != "" || stderr != "" {
		t.Fatalf("status %d, %q, %q", status, stdout, stderr)
	}
	manual.Visit((&program{}).root(), func(c *cobra.Command) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			return
		}
		if !strings.Contains(string(text), `"Nov 2026"`) {
			t.Errorf("%s is of another date", name)
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(string(text), "--"+f.Name) && !strings.Contains(string(text), strings.ReplaceAll("--"+f.Name, "-", `\-`)) {
				t.Errorf("%s does not name --%s", name, f.Name)
			}
		})
	})
}

// What is markup elsewhere is shown as it is.
func TestManPagesAreText(t *testing.T) {
	dir := t.TempDir()
	if status, _, stderr := bosd(t.Context(), nil, "man", dir); status != exitOK {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bosd-serve.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"spiffe://*/*/{node}", "BOS_MAX_STREAMS", "BOS_AUTH_NAMES"} {
		if !strings.Contains(strings.ReplaceAll(string(text), `\`, ""), want) {
			t.Errorf("bosd-serve.1 does not show %s", want)
		}
	}
}

func TestManThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		environ []string
		args    []string
		status  int
		says    string
	}{
		{nil, []string{"man"}, exitUsage, "say where to write"},
		{[]string{"SOURCE_DATE_EPOCH=today"}, []string{"man", t.TempDir()}, exitUsage, "SOURCE_DATE_EPOCH"},
		{nil, []string{"man", "/dev/null/man"}, exitFailed, "man pages"},
	} {
		if status, _, stderr := bosd(t.Context(), c.environ, c.args...); status != c.status || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: status %d, %s", c.args, status, stderr)
		}
	}
}

// What a site sets most often is in the page about running it.
func TestOperationsNamesWhatSitesSet(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{
		"data-dir", "data-quota", "listen", "metrics-listen", "operators", "power-on-rate", "power-on-in-flight",
		"events-max-bytes", "events-keep", "max-streams", "snapshot-dir", "snapshot-every", "snapshot-keep",
		"cluster-name", "cluster-listen", "cluster-client-listen", "cluster-join", "cluster-initial", "cluster-upgraded",
		"etcd-endpoints", "etcd-ca-file", "etcd-cert-file", "etcd-key-file", "etcd-username", "etcd-password-file",
	} {
		if !strings.Contains(string(text), "--"+flag) {
			t.Errorf("--%s is not in docs/OPERATIONS.md", flag)
		}
	}
}
