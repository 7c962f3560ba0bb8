// SPDX-License-Identifier: MIT

package view

import "bos/internal/bos"

// The bounds of one generation of an [interner].
const (
	maxInterned      = 1 << 14
	maxInternedBytes = 8 << 20
)

// interner keeps one copy of texts that come again and again: artifacts,
// configurations, sessions, times. It is bounded: when it is full, what it has
// becomes the elder generation, what is asked for again moves on to the new one,
// and the rest is forgotten at the next turn. Forgotten texts live on where they
// are used.
type interner struct {
	young, elder map[string]string
	// size and elderSize are the bytes of the texts in each.
	size, elderSize int
}

// text returns the one copy of a text.
func (n *interner) text(s string) string {
	if s == "" {
		return ""
	}
	if one, ok := n.young[s]; ok {
		return one
	}
	if one, ok := n.elder[s]; ok {
		s = one
	}
	return n.keep(s)
}

// bytes returns the one copy of a text that is at hand as bytes. It is a
// [bos.Texts].
func (n *interner) bytes(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if one, ok := n.young[string(b)]; ok {
		return one
	}
	one, ok := n.elder[string(b)]
	if !ok {
		one = string(b)
	}
	return n.keep(one)
}

// keep puts a text into the younger generation.
func (n *interner) keep(s string) string {
	if n.young == nil || len(n.young) >= maxInterned || n.size+len(s) > maxInternedBytes {
		n.young, n.elder = map[string]string{}, n.young
		n.size, n.elderSize = 0, n.size
	}
	n.young[s] = s
	n.size += len(s)
	return s
}

func (n *interner) opt(o *bos.Opt[string]) {
	if s, ok := o.Get(); ok {
		*o = bos.Some(n.text(s))
	}
}

func (n *interner) artifacts(a *bos.BootArtifacts) {
	n.opt(&a.Kernel)
	n.opt(&a.KernelParameters)
	n.opt(&a.Initrd)
}
