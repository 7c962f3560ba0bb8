// SPDX-License-Identifier: MIT

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bos/internal/bos"
)

// SchemaVersion is the version of the layout and the documents that this build
// writes. Documents of version N are read by N+1 and back: fields are only
// added, and readers ignore what they do not know.
//
// Version 2 packs documents in engines that can ([Packer]).
const SchemaVersion = 2

// packedReader is the first version that reads packed documents.
const packedReader = 2

// Schema is the document that says which version a store has.
type Schema struct {
	Version int `json:"version"`
	// MinReader is the oldest version of the software that can read the store.
	MinReader int `json:"min_reader"`
	// CreatedAt is when the store was first opened, in UTC.
	CreatedAt time.Time `json:"created_at"`
}

// Prepare makes an empty store ours, brings an older one up to date and refuses
// one that is too new for this build. Builds that could read an older store go on
// reading it, so that they may run beside this one, until raise says that they
// are all gone.
func (s *Store) Prepare(ctx context.Context, now time.Time, raise bool) (Schema, error) {
	var found Schema
	_, err := Update[Schema]{
		Key:    KeySchema,
		Decode: Decode[Schema],
		Change: func(old Schema, exists bool) (any, []Op, error) {
			found = old
			switch {
			case !exists:
				found = Schema{Version: SchemaVersion, MinReader: packedReader, CreatedAt: now.UTC()}
			case old.MinReader > SchemaVersion:
				return nil, nil, bos.Errorf(bos.CodeInternal,
					"the store has schema version %d, which needs a build that reads version %d; this one reads up to %d",
					old.Version, old.MinReader, SchemaVersion)
			case old.Version >= SchemaVersion && (!raise || old.MinReader >= packedReader):
				return nil, nil, errUpToDate
			default:
				found.Version = max(old.Version, SchemaVersion)
				if raise {
					found.MinReader = max(old.MinReader, packedReader)
				}
			}
			return found, nil, nil
		},
	}.Run(ctx, s)
	if err != nil && !errors.Is(err, errUpToDate) {
		return found, fmt.Errorf("open the store: %w", err)
	}
	if p, ok := s.Engine.(Packer); ok {
		p.Pack(found.MinReader >= packedReader)
	}
	return found, nil
}

var errUpToDate = errors.New("up to date")
