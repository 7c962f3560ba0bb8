// SPDX-License-Identifier: MIT

package cli

import (
	"os"
	"strings"
	"testing"

	"bos/internal/manual"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// The reference is generated from the commands; 'go generate ./internal/cli'
// does it.
func TestReferenceIsFresh(t *testing.T) {
	have, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{booleans: map[string]bool{}}
	if diff := cmp.Diff(strings.Split(string(manual.Reference(a.root(), referenceHead)), "\n"), strings.Split(string(have), "\n")); diff != "" {
		t.Errorf("docs/cli.md is stale; run 'go generate ./internal/cli':\n%s", diff)
	}
}

// Every command can be read about, and none of its flags is without a word.
func TestCommandsSayWhatTheyAreFor(t *testing.T) {
	a := &app{booleans: map[string]bool{}}
	manual.Visit(a.root(), func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q", cmd.CommandPath(), cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 101 {
				t.Errorf("%s: a line of its help is too long for a terminal: %q", cmd.CommandPath(), line)
			}
		}
	})
}
