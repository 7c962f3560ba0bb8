// SPDX-License-Identifier: MIT

package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"bos/internal/bos"
	"bos/internal/store"
)

func (s *server) getOptions(x *exchange) error {
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	options, tag := s.view.OptionsAt()
	if x.unchanged(tag) {
		return nil
	}
	return x.json(http.StatusOK, options)
}

// patchOptions changes options, all that were sent or none. Options that nobody
// knows are repeated in the answer and forgotten.
func (s *server) patchOptions(x *exchange) error {
	var written bos.Options
	var unknown map[string]json.RawMessage
	if s.trail != nil {
		var sent map[string]json.RawMessage
		if err := decode(x.body, &sent); err != nil {
			return err
		}
		x.about(slices.Sorted(maps.Keys(sent))...)
	}
	revision, err := store.Update[bos.Options]{
		Key:    store.KeyOptions,
		Decode: func(kv store.KV) (bos.Options, error) { return bos.DecodeOptions(kv.Value) },
		Change: func(old bos.Options, exists bool) (any, []store.Op, error) {
			if !exists {
				old = bos.DefaultOptions()
			}
			var err error
			written, unknown, err = old.Patch(x.body)
			if err == nil && exists && written == old {
				err = errUnchanged
			}
			return written, nil, err
		},
	}.Run(x.ctx(), s.store)
	if err := unlessUnchanged(err); err != nil {
		return err
	}
	s.settle(x.ctx(), revision)
	echo, err := written.Echo(unknown)
	if err != nil {
		return err
	}
	return x.json(http.StatusOK, echo)
}
