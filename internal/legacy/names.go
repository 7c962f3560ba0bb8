// SPDX-License-Identifier: MIT

package legacy

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // the original's keys
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"bos/internal/bos"
)

// renamed begins the names that are given in place of ones that BOS does not
// allow; the original's own migration names templates so.
const renamed = "auto_renamed_"

// maxName is the length of the longest name.
const maxName = 127

// storedKey is the original's key of something of a tenant.
func storedKey(k bos.SessionKey) string {
	tenant, name := sha1.Sum([]byte(k.Tenant)), sha1.Sum([]byte(k.Name)) //nolint:gosec // the original's keys
	return hex.EncodeToString(tenant[:]) + "-" + hex.EncodeToString(name[:])
}

// names gives names that are allowed.
type names struct {
	taken map[bos.SessionKey]bool
	given map[bos.SessionKey]string
}

// newNames decides about the names of one kind. It does not depend on the order
// of the keys: what is allowed keeps its name, the others are named one after
// the other in the order of what they were called.
func newNames(keys []bos.SessionKey) *names {
	n := &names{taken: map[bos.SessionKey]bool{}, given: map[bos.SessionKey]string{}}
	var bad []bos.SessionKey
	for _, k := range keys {
		if bos.ValidName(k.Name) {
			n.taken[k] = true
		} else {
			bad = append(bad, k)
		}
	}
	slices.SortFunc(bad, func(a, b bos.SessionKey) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name))
	})
	for _, k := range slices.Compact(bad) {
		n.given[k] = n.free(k)
	}
	return n
}

func (n *names) free(k bos.SessionKey) string {
	for try := 0; ; try++ {
		k := bos.SessionKey{Tenant: k.Tenant, Name: legalName(k.Name, try)}
		if !n.taken[k] {
			n.taken[k] = true
			return k.Name
		}
	}
}

// of returns the name under which something is kept.
func (n *names) of(k bos.SessionKey) string {
	if given, ok := n.given[k]; ok {
		return given
	}
	if bos.ValidName(k.Name) || k.Name == "" {
		return k.Name
	}
	return legalName(k.Name, 0)
}

// legalName makes a name that is allowed: blanks become underscores, what is not
// allowed is left out. A name of which nothing is left, and every further try,
// ends in a part of the hash of what it was.
func legalName(name string, try int) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '_'
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '-', r == '_', r == '.':
			return r
		}
		return -1
	}, name)
	base := strings.TrimRight((renamed + kept)[:min(maxName, len(renamed)+len(kept))], "-_.")
	if kept = strings.Trim(kept, "-_."); kept != "" && try == 0 {
		return base
	}
	sum := sha256.Sum256([]byte(strconv.Itoa(try) + "\x00" + name))
	ending := "_" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(base[:min(len(base), maxName-len(ending))], "-_.") + ending
}
