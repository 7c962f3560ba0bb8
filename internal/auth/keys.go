// SPDX-License-Identifier: MIT

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys bounds a key set in bytes, mostKeys in keys.
	maxKeys  = 1 << 20
	mostKeys = 128
	// fetchTimeout bounds one fetch of a key set.
	fetchTimeout = 5 * time.Second
	// fetchPause is how long a key that is not there is not asked for again, so
	// that made-up tokens don't become requests to the issuer.
	fetchPause = 10 * time.Second
)

// source gets a key set. It may return nil if nothing has changed since the call
// before, unless it is wanted anew.
type source interface {
	fetch(ctx context.Context, anew bool) ([]byte, error)
}

// Freshness says how long keys are used.
type Freshness struct {
	// Refresh is the age at which keys are fetched anew, in the background.
	Refresh time.Duration
	// MaxAge is the age at which keys are no longer used while they can't be
	// fetched. It bounds how long a key that the issuer withdrew is still
	// trusted.
	MaxAge time.Duration
}

// keySet is the cached key set of one issuer. Keys are fetched when they are
// first needed, when they are old, and when a token is signed by one that is
// not among them; at most once in pause, by one goroutine.
type keySet struct {
	issuer string
	source source
	fresh  Freshness
	pause  time.Duration
	now    func() time.Time
	log    *slog.Logger

	ctx     context.Context
	running *sync.WaitGroup

	mu   sync.Mutex
	keys []jose.JSONWebKey
	// good is when a fetch last succeeded, tried when one last ended; err is why
	// it failed.
	good, tried time.Time
	err         error
	// flight is closed when the fetch under way has ended.
	flight chan struct{}
}

// errNoKey says that the issuer has no such key.
var errNoKey = errors.New("the issuer has no such key")

// find returns the keys of an id, all keys for no id. It fetches the set if it
// has to. The error is errNoKey, that of a fetch, or that of ctx.
func (k *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	age := k.now().Sub(k.good)
	found := matching(k.keys, id)
	usable := !k.good.IsZero() && age < k.fresh.MaxAge
	if len(found) > 0 && usable {
		if age >= k.fresh.Refresh {
			k.startLocked()
		}
		k.mu.Unlock()
		return found, nil
	}
	k.mu.Unlock()
	return k.findAnew(ctx, id)
}

// findAnew is find after one more fetch, unless there was one just now.
func (k *keySet) findAnew(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	flight := k.startLocked()
	k.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	found := matching(k.keys, id)
	switch {
	case len(found) > 0 && k.now().Sub(k.good) < k.fresh.MaxAge:
		return found, nil
	case k.err != nil:
		return nil, k.err
	}
	return nil, errNoKey
}

// matching returns the keys of an id, all for none.
func matching(keys []jose.JSONWebKey, id string) []jose.JSONWebKey {
	if id == "" {
		return keys
	}
	var found []jose.JSONWebKey
	for _, key := range keys {
		if key.KeyID == id {
			found = append(found, key)
		}
	}
	return found
}

// startLocked starts a fetch unless one is under way or has just been; it
// returns what is closed when it ends, nil if there is none.
func (k *keySet) startLocked() <-chan struct{} {
	if k.flight != nil {
		return k.flight
	}
	if k.ctx.Err() != nil || !k.tried.IsZero() && k.now().Sub(k.tried) < k.pause {
		return nil
	}
	flight := make(chan struct{})
	k.flight = flight
	k.running.Go(func() { k.refresh(flight) })
	return flight
}

// refresh fetches the key set. One that can't be had or read leaves the old one.
func (k *keySet) refresh(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(k.ctx, fetchTimeout)
	defer cancel()
	_, failed := k.status()
	raw, err := k.source.fetch(ctx, failed != nil)
	var keys []jose.JSONWebKey
	if err == nil && raw != nil {
		keys, err = parseKeys(raw)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.tried, k.flight = now, nil
	close(flight)
	k.err = err
	if err != nil {
		if failed == nil && k.ctx.Err() == nil {
			k.log.Warn("the keys of an issuer could not be had; the old ones are used while they last",
				slog.String("issuer", k.issuer), slog.Int("keys", len(k.keys)), slog.Any("error", err))
		}
		return
	}
	if failed != nil || raw != nil && !k.good.IsZero() && !sameKeys(k.keys, keys) {
		k.log.Info("the keys of an issuer are new", slog.String("issuer", k.issuer), slog.Int("keys", len(keys)))
	}
	if raw != nil {
		k.keys = keys
	}
	k.good = now
}

// status returns how old the keys are and why they could not be had last time.
func (k *keySet) status() (good time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.good, k.err
}

func sameKeys(a, b []jose.JSONWebKey) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].KeyID != b[i].KeyID {
			return false
		}
	}
	return true
}

// parseKeys reads a JSON Web Key Set and keeps the keys that can verify
// signatures. What can't be used is left out, since issuers publish keys for
// other purposes too; a set without any is an error.
func parseKeys(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	if len(set.Keys) > mostKeys {
		return nil, fmt.Errorf("it has %d keys; at most %d", len(set.Keys), mostKeys)
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		// The error may repeat the key, which may be a private one by mistake.
		if json.Unmarshal(text, &key) != nil || !key.IsPublic() || !key.Valid() || key.Use != "" && key.Use != "sig" {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of its %d keys is a public key for signatures", len(set.Keys))
	}
	return keys, nil
}
