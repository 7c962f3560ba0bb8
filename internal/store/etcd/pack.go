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
}

func newPacker() *packer {
	return &packer{
		words:   s2.NewDict(s2.MakeDictManual(packWords, 0).Bytes()),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
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
func (p *packer) unpack(stored []byte) []byte {
	if len(stored) < packHeader || stored[0] != packMark || stored[1] != packVersion {
		return stored
	}
	packed := stored[packHeader:]
	if n, err := s2.DecodedLen(packed); err != nil || n > packMost {
		return stored
	}
	doc, err := p.words.Decode(nil, packed)
	if err != nil {
		return stored
	}
	return doc
}
