// SPDX-License-Identifier: MIT

package view

import (
	"strconv"

	"bos/internal/bos"
)

// changed are the revisions at which something of a kind last changed.
type changed struct {
	components, sessions, templates, options int64
}

// Tag names what something was like: two tags are the same only if nothing of it
// changed in between. Tags of different processes always differ, and so do those
// from before and after the store was read anew: a revision may come again in a
// store that was restored.
type Tag struct {
	epoch    uint64
	revision int64
}

// String returns a text that is the same for the same tags, of letters, digits
// and a hyphen.
func (t Tag) String() string {
	return strconv.FormatUint(t.epoch, 36) + "-" + strconv.FormatInt(t.revision, 36)
}

// tag makes a tag of a revision; the lock is held.
func (v *View) tag(revision int64) Tag { return Tag{v.epoch, revision} }

// OptionsAt returns the service's options and their tag.
func (v *View) OptionsAt() (bos.Options, Tag) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.options, v.tag(v.changed.options)
}

// TemplatesAt is Templates that also returns the tag of all templates.
func (v *View) TemplatesAt(tenant string) ([]*bos.TemplateRecord, Tag) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	list := v.templates.list(tenant)
	v.visit(len(list))
	return list, v.tag(v.changed.templates)
}

// TemplateAt is Template that also returns the tag of the template.
func (v *View) TemplateAt(key bos.TemplateKey) (*bos.TemplateRecord, Tag, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.templates.get(key)
	if !ok {
		return nil, Tag{}, false
	}
	return t, v.tag(t.Revision), true
}

// SessionsTag returns the tag of all sessions and what they are set up on. It is
// to be taken before they are looked at: a tag that is older than what it is given
// to costs an answer, one that is newer would hide a change.
func (v *View) SessionsTag() Tag {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.tag(v.changed.sessions)
}
