// SPDX-License-Identifier: MIT

package front

import "slices"

// alternatives checks a value of which exactly one alternative must be right.
func (c *checker) alternatives(s *schema, depth int) bool {
	if s.byKind {
		for _, alternative := range s.oneOf {
			if alternative.begins(c.peek()) {
				return c.value(alternative, depth)
			}
		}
		return c.wrongType(s)
	}
	if c.report {
		return c.explainAlternatives(s, depth)
	}
	start, right, end := c.i, 0, 0
	for _, alternative := range s.oneOf {
		c.i = start
		if c.value(alternative, depth) {
			right++
			end = c.i
		}
	}
	c.i = end
	return right == 1
}

// explainAlternatives tells what is wrong with the alternative that was
// probably meant: the one with the fewest problems. If there are several, it
// tells what they have in common, or else the message of the schema.
func (c *checker) explainAlternatives(s *schema, depth int) bool {
	start, nan := c.i, c.nan
	var best [][]string
	for _, alternative := range s.oneOf {
		trial := &checker{scanner: c.scanner, report: true, path: slices.Clone(c.path)}
		trial.value(alternative, depth)
		switch {
		case len(best) == 0 || len(trial.problems) < len(best[0]):
			best = [][]string{trial.problems}
		case len(trial.problems) == len(best[0]):
			best = append(best, trial.problems)
		}
	}
	c.i, c.nan = start, nan
	if !c.skip() {
		return false
	}
	if len(best) == 1 || len(best[0]) > 0 && sameFirst(best) {
		for _, problem := range best[0] {
			if len(c.problems) == mostProblems {
				return false
			}
			c.problems = append(c.problems, problem)
			if len(best) > 1 {
				break
			}
		}
		return len(c.problems) < mostProblems
	}
	return c.problem(s.message)
}

func sameFirst(all [][]string) bool {
	for _, problems := range all {
		if problems[0] != all[0][0] {
			return false
		}
	}
	return true
}

// begins reports whether a value of the schema's type begins with a byte.
func (s *schema) begins(c byte) bool {
	switch s.kind {
	case kindString:
		return c == '"'
	case kindInteger:
		return c == '-' || '0' <= c && c <= '9'
	case kindBoolean:
		return c == 't' || c == 'f'
	case kindArray:
		return c == '['
	case kindObject:
		return c == '{'
	case kindOneOf:
	}
	return false
}
