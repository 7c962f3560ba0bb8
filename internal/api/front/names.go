// SPDX-License-Identifier: MIT

package front

import "bytes"

// fewNames is how many names are compared one by one.
const fewNames = 16

// nameSet numbers the names of an object's members in the order in which they
// first occur.
type nameSet struct {
	few  [][]byte
	many map[string]int
}

// len returns how many different names there are.
func (n *nameSet) len() int { return max(len(n.few), len(n.many)) }

// add returns the number of a name and whether it was there before. A name that
// is shared with a buffer is copied.
func (n *nameSet) add(name []byte, shared bool) (number int, again bool) {
	if n.many != nil {
		number, again = n.many[string(name)]
		if !again {
			number = len(n.many)
			n.many[string(name)] = number
		}
		return number, again
	}
	for i, other := range n.few {
		if bytes.Equal(other, name) {
			return i, true
		}
	}
	if len(n.few) < fewNames {
		if shared {
			name = bytes.Clone(name)
		}
		n.few = append(n.few, name)
		return len(n.few) - 1, false
	}
	n.many = make(map[string]int, 4*fewNames)
	for i, other := range n.few {
		n.many[string(other)] = i
	}
	n.few = nil
	n.many[string(name)] = fewNames
	return fewNames, false
}
