// SPDX-License-Identifier: MIT

package legacy

import (
	"time"
	"unicode/utf8"

	"bos/internal/bos"
	"bos/internal/store"
)

// When is the moment of the import, on the wall and on the fleet's clock.
type When struct {
	Now     time.Time
	Instant bos.Instant
}

// instant puts a time of the original's onto the fleet's clock: what happened
// some time ago on the wall happened as long ago there. What can't be read, or
// lies ahead, counts as of now: no wait begins in the future, and none that
// nobody can vouch for is over.
func (w When) instant(stamp string) bos.Instant {
	t, err := bos.ParseTimestamp(stamp)
	if err != nil {
		return w.Instant
	}
	age := w.Now.UTC().Sub(t)
	if age < 0 {
		return w.Instant
	}
	if i := w.Instant.Add(-age); i != 0 {
		return i
	}
	return -1 // 0 means never.
}

func isText(s string, most int) bool { return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most }

// Convert makes our documents of everything that the original has. It is
// deterministic but for times that are derived from at.
func Convert(dump Dump, at When) Result {
	c := &conversion{at: at}
	for db, raws := range dump {
		c.result.Read[db] = len(raws)
		dump[db] = sortRaws(raws)
	}
	for _, raw := range dump[Options] {
		c.plain(Options, raw, convertOptions)
	}
	for _, raw := range dump[Tokens] {
		c.plain(Tokens, raw, func(d *doc, o *object) (Document, bool) { return convertToken(d, o, at) })
	}
	templates := c.named(Templates, dump[Templates])
	templateNames := namesOf(templates)
	for _, n := range templates {
		out, ok := convertTemplate(n.doc, n.object, n.key, templateNames)
		c.add(n.doc, out, ok)
	}
	sessions := c.named(Sessions, dump[Sessions])
	found := &fleet{sessions: map[string][]*member{}, names: namesOf(sessions)}
	byKey := map[string]*member{}
	var running []Document
	for _, n := range sessions {
		out, in, ok := convertSession(n.doc, n.object, n.key, found.names, templateNames, at)
		if !n.finish(&c.result) || !ok {
			continue
		}
		found.sessions[n.key.Name] = append(found.sessions[n.key.Name], in)
		byKey[storedKey(n.key)] = in
		running = append(running, out)
	}
	for _, raw := range dump[Components] {
		c.plain(Components, raw, func(d *doc, o *object) (Document, bool) { return convertComponent(d, o, found, at) })
	}
	for _, raw := range dump[Statuses] {
		c.plain(Statuses, raw, func(d *doc, o *object) (Document, bool) {
			s := byKey[raw.Key]
			if s == nil {
				d.refuse("there is no session of it")
				return Document{}, false
			}
			return convertStatus(d, o, s)
		})
	}
	// A pending session is set up as soon as it is there: last.
	for _, out := range running {
		c.store(out)
	}
	return c.result
}

type conversion struct {
	at     When
	result Result
}

func (c *conversion) plain(db Database, raw Raw, convert func(*doc, *object) (Document, bool)) {
	d := newDoc(db, raw)
	var out Document
	ok := false
	if o := d.object(); o != nil {
		out, ok = convert(d, o)
	}
	c.add(d, out, ok)
}

func (c *conversion) add(d *doc, out Document, ok bool) {
	if d.finish(&c.result) && ok {
		c.store(out)
	}
}

// maxStored is the largest document that is stored, in bytes: it goes into one
// transaction.
const maxStored = store.MaxBytes - 64<<10

func (c *conversion) store(out Document) {
	if len(out.Value)+len(out.Key) > maxStored {
		c.result.Left = append(c.result.Left, Left{
			Database: out.Database, Key: out.Name, Name: out.Name, Value: out.Value, Why: "it is larger than a document may be",
		})
		return
	}
	c.result.Documents = append(c.result.Documents, out)
}

// named is a document that has a name and a tenant.
type named struct {
	*doc
	object *object
	key    bos.SessionKey
}

// named reads the names of all documents of a kind. What a document says of
// itself counts; one that is kept under the key of another is taken if nothing
// else is what it says it is.
func (c *conversion) named(db Database, raws []Raw) []named {
	var out, misplaced []named
	seen := map[bos.SessionKey]bool{}
	for _, raw := range raws {
		d := newDoc(db, raw)
		o := d.object()
		if o == nil {
			d.finish(&c.result)
			continue
		}
		key, ok := d.identity(o)
		if !ok {
			d.finish(&c.result)
			continue
		}
		n := named{d, o, key}
		if storedKey(key) != raw.Key {
			misplaced = append(misplaced, n)
			continue
		}
		seen[key] = true
		out = append(out, n)
	}
	for _, n := range misplaced {
		if seen[n.key] {
			n.refuse("its key is not that of its tenant and name, and another has that")
			n.finish(&c.result)
			continue
		}
		seen[n.key] = true
		n.changed("", "its key was not that of its tenant and name, which count")
		out = append(out, n)
	}
	return out
}

func namesOf(all []named) *names {
	keys := make([]bos.SessionKey, len(all))
	for i, n := range all {
		keys[i] = n.key
	}
	return newNames(keys)
}
