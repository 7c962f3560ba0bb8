// SPDX-License-Identifier: MIT

package bos

import "sync"

// Buffers are memory that documents are encoded into, used again from one to the
// next; the garbage collector takes what nobody needs. It is safe for concurrent
// use.
type Buffers struct {
	// First is the size in bytes of a new buffer, Most that of the largest one that
	// is kept.
	First, Most int

	pool sync.Pool
}

// Get returns an empty buffer.
func (b *Buffers) Get() *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		*buf = (*buf)[:0]
		return buf
	}
	buf := make([]byte, 0, b.First)
	return &buf
}

// Put takes a buffer back; nothing may use its bytes any more.
func (b *Buffers) Put(buf *[]byte) {
	if cap(*buf) <= b.Most {
		b.pool.Put(buf)
	}
}
