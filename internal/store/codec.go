// SPDX-License-Identifier: MIT

package store

import (
	"encoding/json"
	"fmt"

	"bos/internal/bos"
)

// EncodeRecord writes a component's record as it is stored.
func EncodeRecord(r *bos.Record) []byte { return r.AppendJSON(make([]byte, 0, recordSize)) }

const (
	// recordSize is a size in bytes that most records fit into.
	recordSize = 3072
	// keptSize is the size in bytes of the largest encoding whose memory is used again.
	keptSize = 16 << 10
)

// encodings are the encoded records of writes that are over, to be used again.
var encodings = bos.Buffers{First: recordSize, Most: keptSize}

// DecodeRecord reads a component's record. id is what its key says it is; a
// document of another one is foreign. The record's texts come from texts; nil
// makes new ones.
func DecodeRecord(kv KV, id string, texts bos.Texts) (*bos.Record, error) {
	r, ok := bos.DecodeRecord(kv.Value, texts)
	if !ok {
		// Written by another version or by hand.
		r = &bos.Record{}
		if err := decode(kv, r); err != nil {
			return nil, err
		}
	}
	if r.Component.ID != id {
		return nil, fmt.Errorf("document %q is of the component %q", kv.Key, r.Component.ID)
	}
	r.Component.ID, r.Revision = id, kv.Revision
	return r, nil
}

// DecodeSession reads a session's record.
func DecodeSession(kv KV, key bos.SessionKey) (*bos.SessionRecord, error) {
	var r bos.SessionRecord
	if err := decode(kv, &r); err != nil {
		return nil, err
	}
	if r.Session.Key() != key {
		return nil, fmt.Errorf("document %q is of the session %q of the tenant %q", kv.Key, r.Session.Name, r.Session.Tenant)
	}
	r.Revision = kv.Revision
	return &r, nil
}

// DecodeTemplate reads a session template's record.
func DecodeTemplate(kv KV, key bos.TemplateKey) (*bos.TemplateRecord, error) {
	var r bos.TemplateRecord
	if err := decode(kv, &r); err != nil {
		return nil, err
	}
	if r.Template.Key() != key {
		return nil, fmt.Errorf("document %q is of the template %q of the tenant %q", kv.Key, r.Template.Name, r.Template.Tenant)
	}
	r.Revision = kv.Revision
	return &r, nil
}

// Decode reads any other document.
func Decode[T any](kv KV) (T, error) {
	var v T
	err := decode(kv, &v)
	return v, err
}

func decode(kv KV, into any) error {
	if err := json.Unmarshal(kv.Value, into); err != nil {
		return fmt.Errorf("document %q can't be read: %w", kv.Key, err)
	}
	return nil
}

// Encode writes any document but a component's.
func Encode(doc any) ([]byte, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode a document: %w", err)
	}
	return data, nil
}

// Token is the boot artifacts behind a BSS token, and when they were last
// needed.
type Token struct {
	BootArtifacts bos.BootArtifacts `json:"boot_artifacts"`
	// UsedAt is when a power-on last asked for the token.
	UsedAt bos.Instant `json:"used_at"`
}
