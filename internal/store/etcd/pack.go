// SPDX-License-Identifier: MIT

package etcd

import (
	_ "embed"
	"sync"

	"github.com/klauspost/compress/s2"
)

// Documents are packed on their way into etcd: those of a fleet are much alike,
// and whatever is written is kept in the log, in the log's copy in memory and in
// the pages of the store's file. A packed document begins with two bytes with
// which no text begins; whatever else is there is taken as it is, so that
// documents of earlier builds and of other hands are read too.
const (
	packMark    = 0xf8
	packVersion = 1
	packHeader  = 2
	// packLeast is the size in bytes below which packing does not pay.
	packLeast = 200
	// packMost bounds what a packed document may unpack to, in bytes.
	packMost = 16 << 20
)

// packWords is what documents have in common. It is a part of the format: another
// text needs another version.
//
//go:embed pack1.txt
var packWords []byte

// packer packs and unpacks documents; any number of goroutines may use it.
type packer struct {
	words   *s2.Dict
	buffers sync.Pool
	shelves sync.Pool
}

func newPacker() *packer {
	return &packer{
		words:   s2.NewDict(s2.MakeDictManual(packWords, 0).Bytes()),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		shelves: sync.Pool{New: func() any { return new(shelf) }},
	}
}

const (
	// shelfLeast and shelfMost are the sizes in bytes of the memory of a shelf: enough
	// for some documents, and for a whole transaction of them.
	shelfLeast = 32 << 10
	shelfMost  = 512 << 10
)

// shelf is memory for documents that are unpacked, read and forgotten together.
type shelf struct{ memory []byte }

// take returns n bytes.
func (s *shelf) take(n int) []byte {
	used := len(s.memory)
	if cap(s.memory)-used < n {
		// What was taken before stays where it is.
		s.memory, used = make([]byte, 0, max(n, min(max(2*cap(s.memory), shelfLeast), shelfMost))), 0
	}
	s.memory = s.memory[:used+n]
	return s.memory[used : used+n : used+n]
}

func (p *packer) shelf() *shelf {
	s, _ := p.shelves.Get().(*shelf)
	return s
}

// clear takes a shelf back; nothing on it may be used any more.
func (p *packer) clear(s *shelf) {
	if cap(s.memory) <= shelfMost {
		s.memory = s.memory[:0]
		p.shelves.Put(s)
	}
}

// pack returns what is stored of a document: the document itself if that is no
// longer.
func (p *packer) pack(doc []byte) string {
	if len(doc) < packLeast {
		return string(doc)
	}
	buffer, _ := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buffer)
	if need := s2.MaxEncodedLen(len(doc)); cap(*buffer) < packHeader+need {
		*buffer = make([]byte, packHeader+need)
	}
	out := (*buffer)[:cap(*buffer)]
	out[0], out[1] = packMark, packVersion
	n := len(p.words.Encode(out[packHeader:], doc))
	if packHeader+n >= len(doc) {
		return string(doc)
	}
	return string(out[:packHeader+n])
}

// unpack returns the document that was stored. What can't be unpacked is
// returned as it is: it is no JSON, and its reader says so.
func (p *packer) unpack(stored []byte) []byte { return p.unpackOnto(nil, stored) }

// unpackOnto does it with the memory of a shelf, nil for memory of its own.
func (p *packer) unpackOnto(s *shelf, stored []byte) []byte {
	if len(stored) < packHeader || stored[0] != packMark || stored[1] != packVersion {
		return stored
	}
	packed := stored[packHeader:]
	n, err := s2.DecodedLen(packed)
	if err != nil || n > packMost {
		return stored
	}
	var memory []byte
	if s != nil {
		memory = s.take(n)
	}
	doc, err := p.words.Decode(memory, packed)
	if err != nil {
		return stored
	}
	return doc
}
