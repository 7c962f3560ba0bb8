// SPDX-License-Identifier: MIT

package view

import "bos/internal/bos"

// Node is a component at one revision. It never changes.
type Node struct {
	Record *bos.Record
	Status bos.StatusName

	// parts, joined, are the component as GET shows it. They are texts that
	// other components have too, but for the id: the fleet shares a handful of
	// artifacts, and what a session writes it writes to thousands at once.
	parts [maxParts]string
	// record is what Record points to: one piece of memory less.
	record bos.Record
}

// maxParts is into how many parts a component is cut at most: before, between and
// after its id and the artifacts of its three states.
const maxParts = 9

// ID returns the component's id.
func (n *Node) ID() string { return n.Record.Component.ID }

// Size returns how many bytes the component has as GET shows it.
func (n *Node) Size() int {
	size := 0
	for i := range n.parts {
		size += len(n.parts[i])
	}
	return size
}

// AppendJSON appends the component as GET shows it.
func (n *Node) AppendJSON(dst []byte) []byte {
	for i := range n.parts {
		dst = append(dst, n.parts[i]...)
	}
	return dst
}

// encoder makes nodes. It must be used by one goroutine at a time.
type encoder struct {
	// texts are those of records, fragments the parts of encodings.
	texts, fragments interner
	scratch          []byte
	marks            []int
}

// node makes the node of a record. What is already shared of old (nil if there
// was none) stays so.
func (e *encoder) node(rec *bos.Record, old *Node) *Node {
	n := &Node{Status: rec.Component.StatusNow(), record: *rec}
	n.Record = &n.record
	e.scratch, e.marks = rec.Component.AppendViewMarked(e.scratch[:0], e.marks[:0])
	e.marks = append(e.marks, len(e.scratch))
	begin := 0
	for i, end := range e.marks {
		n.parts[i] = e.part(e.scratch[begin:end], n, old)
		begin = end
	}
	return n
}

// part returns the one copy of a part. The id's is the node's own, and the id
// itself is kept in it if it is the same in JSON.
func (e *encoder) part(text []byte, n, old *Node) string {
	id := n.record.Component.ID
	if len(text) != len(id)+2 || text[0] != '"' || string(text[1:len(text)-1]) != id {
		return e.fragments.bytes(text)
	}
	if old != nil && old.ID() == id {
		n.record.Component.ID = old.record.Component.ID
		for _, p := range old.parts {
			if p == string(text) {
				return p
			}
		}
	}
	quoted := string(text)
	n.record.Component.ID = quoted[1 : len(quoted)-1]
	return quoted
}
