// SPDX-License-Identifier: MIT

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bos/internal/xname"
)

// expand turns a list of names and ranges into names, each of them once.
func expand(list string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, misused(errors.New("no nodes are named"))
	}
	names, err := xname.Expand(list)
	if err != nil {
		return nil, misused(err)
	}
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	}), nil
}

// expandLimit expands the ranges in a limit and leaves the rest of it as it
// is. A limit is read from left to right: !x[1-2] is !x1,!x2, but &x[1-2] can't
// be written without the range, since &x1,&x2 is empty.
func expandLimit(limit string) (string, error) {
	var out []string
	for _, item := range splitList(limit) {
		op, names := "", strings.TrimSpace(item)
		if !strings.Contains(names, "[") {
			out = append(out, item)
			continue
		}
		if names[0] == '!' || names[0] == '&' {
			op, names = names[:1], names[1:]
		}
		expanded, err := xname.Expand(names)
		if err != nil {
			return "", misused(err)
		}
		if op == "&" && len(expanded) > 1 {
			return "", misused(fmt.Errorf("& can't be put before a range of several nodes, as in %q", item))
		}
		for _, name := range expanded {
			out = append(out, op+name)
		}
	}
	return strings.Join(out, ","), nil
}

// splitList splits at commas outside of brackets.
func splitList(list string) []string {
	var items []string
	depth, start := 0, 0
	for i := range len(list) {
		switch list[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				items = append(items, list[start:i])
				start = i + 1
			}
		}
	}
	return append(items, list[start:])
}

// foldList folds a comma-separated list of names.
func foldList(list string) string {
	if list == "" {
		return ""
	}
	return xname.Fold(strings.Split(list, ","))
}

// foldLimit folds a limit in which the order has no meaning.
func foldLimit(limit string) string {
	if strings.ContainsAny(limit, "&!") {
		return limit
	}
	return foldList(limit)
}

// count returns how many names are in a comma-separated list.
func count(list string) int {
	if list == "" {
		return 0
	}
	return strings.Count(list, ",") + 1
}
