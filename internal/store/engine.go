// SPDX-License-Identifier: MIT

// Package store keeps BOS's documents: a small engine interface over a
// revisioned key-value store, and the typed documents on top of it. Every
// engine passes the same suite (storetest); etcd is the one for production,
// mem the one for tests in virtual time.
package store

import (
	"context"
	"fmt"

	"bos/internal/bos"
)

// The bounds of one transaction. They stay below the default limits of an
// external etcd cluster (128 operations, 1.5 MiB a request).
const (
	MaxOps   = 100
	MaxBytes = 1 << 20
)

// Engine is a key-value store with one history of revisions: every commit
// raises the revision, and a watch replays what happened after one.
//
// Errors are [bos.Error]s: CodeNotFound, CodeConflict (as *[ConflictError]),
// CodeTooLarge for a transaction over the bounds, CodeUnavailable with the
// dependency "store" when the engine can't be reached or has no quorum.
type Engine interface {
	// Get returns a document, no older than the call.
	Get(ctx context.Context, key string) (KV, error)
	// List returns every document under a prefix, ordered by key, as they were
	// at one revision that is no older than the call.
	List(ctx context.Context, prefix string) ([]KV, int64, error)
	// Commit carries out a transaction, all of it or nothing, and returns the
	// revision that it made. Once it has returned nil the writes are durable. After
	// nil and after a conflict it is done with the bytes of the transaction.
	Commit(ctx context.Context, txn Txn) (int64, error)
	// Watch delivers what happened under a prefix after a revision.
	Watch(ctx context.Context, prefix string, after int64) (Watcher, error)
	// Revision returns a revision that is no older than the call: whoever has
	// seen it has seen every write that was acknowledged before.
	Revision(ctx context.Context) (int64, error)
	// Campaign waits until holder leads in a role and returns the leadership.
	// Of all that campaign for a role at most one leads.
	Campaign(ctx context.Context, role, holder string) (Leadership, error)
	// Close ends every watch and leadership.
	Close() error
}

// Packer is an [Engine] that can keep documents smaller than they are. What it
// hands out is the same either way, and it reads what was written either way;
// builds that know nothing of it can't, see [Schema].
type Packer interface {
	// Pack says whether documents that are written from now on are packed.
	Pack(on bool)
}

// KV is a stored document. Revision is that of its last write.
type KV struct {
	Key      string
	Value    []byte
	Revision int64
}

// Expect values of [Op] other than the revision of a document's last write.
const (
	// AnyRevision writes whatever is there.
	AnyRevision int64 = -1
	// Absent writes only if there is no document.
	Absent int64 = 0
)

// Op writes or deletes one document. Keys of a transaction must differ.
type Op struct {
	Key    string
	Value  []byte
	Delete bool
	// Expect is the revision that the document must have, [Absent] or
	// [AnyRevision].
	Expect int64
}

// Txn is a transaction. With a fence it fails unless the leadership that the
// fence belongs to still holds.
type Txn struct {
	Ops   []Op
	Fence *Fence
}

// Check reports whether a transaction keeps to the bounds.
func (t Txn) Check() error {
	size := 0
	for _, op := range t.Ops {
		size += len(op.Key) + len(op.Value)
	}
	if len(t.Ops) == 0 {
		return bos.Errorf(bos.CodeInternal, "an empty transaction")
	}
	if len(t.Ops) > MaxOps || size > MaxBytes {
		return bos.Errorf(bos.CodeTooLarge, "a transaction of %d operations and %d bytes is over the bounds of %d and %d",
			len(t.Ops), size, MaxOps, MaxBytes)
	}
	return nil
}

// Fence names a leadership: the key that holds it and the revision at which
// that was written.
type Fence struct {
	Key      string
	Revision int64
}

// Leadership is the right to act in a role.
type Leadership interface {
	// Fence goes with every transaction of a leader.
	Fence() Fence
	// Alive reports whether the leadership surely still holds, by this machine's
	// monotonic clock alone: a process that was paused for longer than the
	// lease gets false.
	Alive() bool
	// Lost is closed when the leadership is known to be over.
	Lost() <-chan struct{}
	// Resign gives the leadership up.
	Resign(ctx context.Context) error
}

// Watcher delivers batches of events. After C was closed, Err says why.
type Watcher interface {
	C() <-chan Batch
	// Progress asks for a batch without events that carries a revision no older
	// than the call. While a watch is catching up the request may be lost: ask
	// again.
	Progress(ctx context.Context) error
	// Err is nil if the watch's context ended; [ErrCompacted] means that the
	// history asked for is gone and the documents must be listed again.
	Err() error
}

// Batch is what happened up to and including a revision. Batches arrive in the
// order of their revisions; the events of one revision are never split.
type Batch struct {
	Revision int64
	Events   []Event
	// Release gives the memory of the events' values back, which must not be used
	// after it. Nobody has to call it; it may be nil.
	Release func()
}

// Event is one document that was written or deleted.
type Event struct {
	KV
	Deleted bool
}

// ErrCompacted says that a watch asked for history that is no longer kept.
var ErrCompacted = bos.Errorf(bos.CodeInternal, "the history asked for was compacted")

// ConflictError says which documents were not as a transaction expected; none
// if it was the fence that did not hold.
type ConflictError struct {
	Keys []string
}

// Error names the first conflicting document.
func (e *ConflictError) Error() string {
	if len(e.Keys) == 0 {
		return "the leadership is over"
	}
	return fmt.Sprintf("%d documents changed meanwhile, %q first", len(e.Keys), e.Keys[0])
}

// As makes it a [bos.Error] with CodeConflict.
func (e *ConflictError) As(target any) bool {
	t, ok := target.(**bos.Error)
	if ok {
		*t = &bos.Error{Code: bos.CodeConflict, Message: "it was changed by somebody else at the same moment", Err: e}
	}
	return ok
}
