// SPDX-License-Identifier: MIT

package auth

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented writes the matrix as docs/SECURITY.md shows it.
func documented(tb testing.TB) string {
	tb.Helper()
	words := map[terms]string{never: "–", always: "yes", ownTenant: "own tenant", ownReport: "own report"}
	var out strings.Builder
	out.WriteString("\n| operation | nobody | admin | wlm | tenant-admin | node | monitor |\n|---|---|---|---|---|---|---|\n")
	for _, o := range operations(tb) {
		r, known := rightsFor(o.ID)
		if !known {
			tb.Fatalf("nobody has decided who may use %s", o.ID)
		}
		fmt.Fprintf(&out, "| `%s %s` `%s` |", o.Method, o.Path, o.ID)
		if r.open {
			out.WriteString(strings.Repeat(" yes |", 1+len(Roles())) + "\n")
			continue
		}
		out.WriteString(" – |")
		for _, role := range Roles() {
			out.WriteString(" " + words[r.of(role)] + " |")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// What the documentation says of who may do what is what the code does.
func TestDocumentedMatrix(t *testing.T) {
	text, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "by a test -->\n")
	table, _, ended := strings.Cut(rest, "<!-- end of matrix -->")
	if diff := cmp.Diff(documented(t), table); diff != "" || !found || !ended {
		t.Errorf("the matrix in docs/SECURITY.md (-want +got):\n%s\nwrite this there:\n%s", diff, documented(t))
	}
}
