// SPDX-License-Identifier: MIT

package legacy

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"bos/internal/bos"
	"bos/internal/store"
)

const (
	// maxLimit bounds the limit of a session in characters.
	maxLimit = 524288
	// chunkNodes is how many nodes one chunk of a session's members names.
	chunkNodes = 2000
)

// sessionSpace is the name space of the UIDs of sessions that are taken over: the
// same session gets the same one whenever that is done.
var sessionSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:bos:taken-over-sessions"))

// sessionOf takes everything of a session but its identity.
func (d *doc) sessionOf(o *object, at When) (s bos.Session, begun bool) {
	d.whole = true
	s.Operation = word(d, o, "", "operation", bos.OperationBoot, bos.OperationReboot, bos.OperationShutdown).Value()
	if s.Operation == "" {
		d.refuse("it has no operation")
	}
	s.TemplateName = d.text(o, "", "template_name", math.MaxInt).Value()
	// A limit, or what is meant to wait, must not be lost: more nodes would be
	// acted upon.
	if string(o.members["limit"]) == "null" {
		delete(o.members, "limit")
	}
	s.Limit = d.text(o, "", "limit", maxLimit).Value()
	s.Stage = d.flag(o, "", "stage").Value()
	s.IncludeDisabled = d.flag(o, "", "include_disabled").Value()
	if string(o.members["components"]) == "null" {
		delete(o.members, "components")
	}
	s.Components = d.text(o, "", "components", math.MaxInt).Value()
	status, ok := d.sub(o, "", "status")
	if !ok {
		d.refuse("it has no status")
		return s, false
	}
	s.Status.Status = word(d, status, "status", "status", bos.SessionPending, bos.SessionRunning, bos.SessionComplete).Value()
	if s.Status.Status == "" {
		d.refuse("its status is missing")
	}
	d.whole = false
	for _, name := range []string{"error", "end_time"} {
		if string(status.members[name]) == "null" {
			delete(status.members, name)
		}
	}
	if v, ok := d.prose(status, "status", "error", maxError).Get(); ok {
		s.Status.Error = &v
	}
	if v, ok := d.stamp(status, "status", "end_time").Get(); ok {
		s.Status.EndTime = &v
	}
	start, begun := d.stamp(status, "status", "start_time").Get()
	if !begun {
		start = bos.Timestamp(at.Now)
		if s.Status.EndTime != nil {
			start, begun = *s.Status.EndTime, true
		}
		d.changed("status.start_time", "set to %q: there was none", start)
	}
	s.Status.StartTime = start
	d.drop(status, "status")
	d.drop(o, "")
	return s, begun
}

// convertSession makes our record of one of the original's sessions. One that
// runs carries on, with the components that it was set up on; a pending one is
// set up from its beginning.
func convertSession(d *doc, o *object, key bos.SessionKey, sessions, templates *names, at When) (Document, *member, bool) {
	s, begun := d.sessionOf(o, at)
	if d.why != "" {
		return Document{}, nil, false
	}
	s.Name, s.Tenant = sessions.of(key), key.Tenant
	if s.Name != key.Name {
		d.changed("name", "%q became %q: names are letters, digits, '-', '.' and '_'", key.Name, s.Name)
	}
	if now := templates.of(bos.TemplateKey{Tenant: key.Tenant, Name: s.TemplateName}); now != s.TemplateName {
		d.changed("template_name", "%q became %q, as the session template did", s.TemplateName, now)
		s.TemplateName = now
	}
	uid := uuid.NewSHA1(sessionSpace, []byte(s.Tenant+"\x00"+s.Name)).String()
	rec := bos.SessionRecord{Session: s, Sealed: bos.SessionSealed{UID: uid}}
	in := &member{session: &s, nodes: bos.NewSet(strings.Split(s.Components, ",")...)}
	delete(in.nodes, "")
	out := Document{Database: Sessions, Name: d.name, Key: store.SessionKey(s.Key())}
	if s.Status.Status == bos.SessionPending {
		if s.Components != "" {
			d.changed("components", "dropped: set-up of a pending session finds them anew")
			rec.Session.Components = ""
		}
	} else {
		rec.Sealed.Setup = bos.SetupApplied
		var err error
		if out.Chunks, err = chunksOf(&rec); err != nil {
			d.refuse("%v", err)
			return Document{}, nil, false
		}
	}
	value, err := store.Encode(rec)
	if err != nil {
		d.refuse("%v", err)
		return Document{}, nil, false
	}
	out.Value = value
	out.face = func(value []byte) (string, error) {
		var r bos.SessionRecord
		if err := json.Unmarshal(value, &r); err != nil {
			return "", err
		}
		if !begun {
			r.Session.Status.StartTime = ""
		}
		text, err := json.Marshal(r)
		return string(text), err
	}
	return out, in, true
}

// chunksOf moves the components of a session into chunks, in their order.
func chunksOf(rec *bos.SessionRecord) ([]Chunk, error) {
	if rec.Session.Components == "" {
		return nil, nil
	}
	var out []Chunk
	ids := strings.Split(rec.Session.Components, ",")
	for part := range slices.Chunk(ids, chunkNodes) {
		chunk := bos.PlanChunk{UID: rec.Sealed.UID, Targets: []bos.Target{}, Applied: true, Nodes: make([]bos.PlannedNode, len(part))}
		for i, id := range part {
			chunk.Nodes[i].ID = id
		}
		value, err := store.Encode(chunk)
		if err != nil {
			return nil, err
		}
		out = append(out, Chunk{Key: store.PlanKey(rec.Sealed.UID, len(out)), Value: value})
	}
	rec.Session.Components = ""
	rec.Sealed.Chunks, rec.Sealed.Nodes = len(out), len(ids)
	return out, nil
}
