// SPDX-License-Identifier: MIT

package call

import (
	"slices"
	"strings"
	"unicode"

	"bos/internal/bos"
)

// Chunks cuts items into parts of at most n, in their order. An n below 1
// counts as 1. The parts share the memory of items; appending to one does not
// change the next.
func Chunks(items []string, n int) [][]string {
	return slices.Collect(slices.Chunk(items, max(n, 1)))
}

// RefuseEmpty is the error of a call about no items, nil if there are some.
// HSM's locks, PCS's power status, BSS and CFS take an empty list for
// everything they know, so none is ever sent.
func RefuseEmpty(service string, items []string) error {
	if len(items) > 0 {
		return nil
	}
	return bos.Errorf(bos.CodeInternal, "refusing an empty list: %s would take it for everything", service)
}

// Unique returns items without repetitions, in the order of their first
// occurrence, and leaves out those that keep refuses. A nil keep keeps all.
func Unique(items []string, keep func(string) bool) []string {
	seen := make(map[string]struct{}, len(items))
	out := make([]string, 0, len(items))
	for _, item := range items {
		if _, dup := seen[item]; dup {
			continue
		}
		seen[item] = struct{}{}
		if keep == nil || keep(item) {
			out = append(out, item)
		}
	}
	return out
}

// Listable reports whether an id can stand in a list that commas separate
// without becoming two or none.
func Listable(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool {
		return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}
