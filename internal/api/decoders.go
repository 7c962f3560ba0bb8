// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"sync"

	"bos/internal/codec"
)

// decoders read components from bodies that the front has checked. They are
// reused from one request to the next; the texts of a body are not.
type decoders struct {
	pool sync.Pool
}

// decoder shares the texts of one body.
type decoder struct {
	codec *codec.Decoder
	texts map[string]string
}

// maxShared is how many texts of a body are kept for sharing. Those that come
// more often than others have come by then.
const maxShared = 4096

func newDecoder() *decoder {
	d := &decoder{texts: map[string]string{}}
	d.codec = codec.NewDecoder(func(b []byte) string {
		if one, ok := d.texts[string(b)]; ok {
			return one
		}
		text := string(b)
		if len(d.texts) < maxShared {
			d.texts[text] = text
		}
		return text
	})
	return d
}

// decode reads a body.
func (p *decoders) decode(body []byte, into any) error {
	d, ok := p.pool.Get().(*decoder)
	if !ok {
		d = newDecoder()
	}
	defer func() {
		clear(d.texts)
		p.pool.Put(d)
	}()
	if err := d.codec.Decode(body, into); err != nil {
		return fmt.Errorf("decode a body that was checked: %w", err)
	}
	return nil
}
