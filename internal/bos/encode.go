// SPDX-License-Identifier: MIT

package bos

import (
	"strconv"
	"unicode/utf8"
)

// MarshalJSON writes the component as it is stored.
func (c Component) MarshalJSON() ([]byte, error) {
	return c.appendJSON(make([]byte, 0, 1024), ""), nil
}

// AppendJSON appends the component as it is stored: without the computed
// status. Answers to PUT and PATCH look like this.
func (c *Component) AppendJSON(dst []byte) []byte { return c.appendJSON(dst, "") }

// AppendViewMarked is AppendView that also appends to marks where in dst the
// parts begin and end that come again in other components or, the id, never do:
// each object of boot artifacts and the value of the id. What is between two
// marks is one part.
func (c *Component) AppendViewMarked(dst []byte, marks []int) ([]byte, []int) {
	o := object{dst: append(dst, '{'), marks: marks, marked: true}
	c.appendMembers(&o, c.StatusNow())
	return append(o.dst, '}'), o.marks
}

// AppendView appends the component as GET shows it: status.status is added to
// what is stored, and a component without a status shows an empty phase and an
// empty override.
func (c *Component) AppendView(dst []byte) []byte { return c.appendJSON(dst, c.StatusNow()) }

// AppendViewAt appends the component as GET shows it, but for status.status,
// which is the one given: the answer to a PATCH by session is what was read,
// with the patch in it.
func (c *Component) AppendViewAt(dst []byte, status StatusName) []byte {
	return c.appendJSON(dst, status)
}

// appendJSON appends the component with its status.status, "" for none.
func (c *Component) appendJSON(dst []byte, now StatusName) []byte {
	o := object{dst: append(dst, '{')}
	c.appendMembers(&o, now)
	return append(o.dst, '}')
}

func (c *Component) appendMembers(o *object, now StatusName) {
	if s, ok := c.ActualState.Get(); ok {
		o.begin("actual_state")
		o.artifacts(s.BootArtifacts)
		o.text("bss_token", s.BSSToken)
		o.text("last_updated", s.LastUpdated)
		o.end()
	}
	if s, ok := c.DesiredState.Get(); ok {
		o.begin("desired_state")
		o.artifacts(s.BootArtifacts)
		o.text("bss_token", s.BSSToken)
		o.text("configuration", s.Configuration)
		o.text("last_updated", s.LastUpdated)
		o.end()
	}
	o.flag("enabled", c.Enabled)
	o.text("error", c.Error)
	if s, ok := c.EventStats.Get(); ok {
		o.begin("event_stats")
		o.number("power_off_forceful_attempts", s.PowerOffForcefulAttempts)
		o.number("power_off_graceful_attempts", s.PowerOffGracefulAttempts)
		o.number("power_on_attempts", s.PowerOnAttempts)
		o.end()
	}
	o.key("id")
	o.mark()
	o.dst = appendString(o.dst, c.ID)
	o.mark()
	if s, ok := c.LastAction.Get(); ok {
		o.begin("last_action")
		o.lastAction(s)
		o.end()
	}
	o.number("retry_policy", c.RetryPolicy)
	o.text("session", c.Session)
	if s, ok := c.StagedState.Get(); ok {
		o.begin("staged_state")
		o.artifacts(s.BootArtifacts)
		o.text("configuration", s.Configuration)
		o.text("last_updated", s.LastUpdated)
		o.text("session", s.Session)
		o.end()
	}
	c.appendStatus(o, now)
}

// AppendJSON appends the record as it is stored, for [DecodeRecord].
func (r *Record) AppendJSON(dst []byte) []byte {
	o := object{dst: append(dst, '{')}
	o.key("doc")
	o.dst = r.Component.AppendJSON(o.dst)
	o.begin("sealed")
	o.sealed(&r.Sealed)
	o.end()
	return append(o.dst, '}')
}

// sealed appends the members of a sealed part.
func (o *object) sealed(s *Sealed) {
	o.nonEmpty("owner", s.Owner)
	o.nonEmpty("staged_owner", s.StagedOwner)
	o.nonEmpty("staged_operation", string(s.StagedOperation))
	if s.StagedApplied {
		o.flag("staged_applied", Some(true))
	}
	if s.Restart {
		o.flag("restart", Some(true))
	}
	o.nonEmpty("plan", s.Plan)
	if a := s.Attempt; a != nil {
		o.begin("attempt")
		o.text("id", Some(a.ID))
		text(o, "action", Some(a.Action))
		o.instant("at", a.At)
		if a.LastAction != (LastAction{}) {
			o.begin("last_action")
			o.lastAction(a.LastAction)
			o.end()
		}
		o.someInstant("action_at", a.ActionAt)
		o.end()
	}
	if w := s.Wait; w != nil {
		o.begin("wait")
		o.text("by", Some(w.By))
		o.text("on", Some(w.On))
		o.instant("since", w.Since)
		o.someInstant("due", w.Due)
		o.nonEmpty("text", w.Text)
		o.end()
	}
	o.someInstant("actual_at", s.ActualAt)
	o.someInstant("action_at", s.ActionAt)
	o.left("left", s.Left)
}

func (o *object) left(name string, l *Left) {
	if l == nil {
		return
	}
	o.begin(name)
	o.nonEmpty("tenant", l.Tenant)
	o.text("session", Some(l.Session))
	text(o, "came_to", Some(l.CameTo))
	o.nonEmpty("error", l.Error)
	o.left("former", l.Former)
	o.end()
}

func (o *object) lastAction(s LastAction) {
	text(o, "action", s.Action)
	o.flag("failed", s.Failed)
	o.text("last_updated", s.LastUpdated)
}

func (c *Component) appendStatus(o *object, now StatusName) {
	status, ok := c.Status.Get()
	if !ok && now != "" {
		status, ok = emptyStatus(), true
	}
	if !ok {
		return
	}
	o.begin("status")
	text(o, "phase", status.Phase)
	if now != "" {
		text(o, "status", Some(now))
	}
	o.text("status_override", status.StatusOverride)
	o.end()
}

// object appends the members of JSON objects.
type object struct {
	dst  []byte
	some bool // whether the current object has a member
	// marks are places in dst; nothing is noted unless marked is set.
	marks  []int
	marked bool
}

func (o *object) mark() {
	if o.marked {
		o.marks = append(o.marks, len(o.dst))
	}
}

func (o *object) key(name string) {
	if o.some {
		o.dst = append(o.dst, ',')
	}
	o.some = true
	o.dst = append(o.dst, '"')
	o.dst = append(o.dst, name...)
	o.dst = append(o.dst, '"', ':')
}

func (o *object) begin(name string) {
	o.key(name)
	o.dst = append(o.dst, '{')
	o.some = false
}

func (o *object) end() {
	o.dst = append(o.dst, '}')
	o.some = true
}

func (o *object) text(name string, v Opt[string]) { text(o, name, v) }

func text[T ~string](o *object, name string, v Opt[T]) {
	if v.set {
		o.key(name)
		o.dst = appendString(o.dst, string(v.value))
	}
}

func (o *object) flag(name string, v Opt[bool]) {
	if v.set {
		o.key(name)
		o.dst = strconv.AppendBool(o.dst, v.value)
	}
}

func (o *object) number(name string, v Opt[int]) {
	if v.set {
		o.key(name)
		o.dst = strconv.AppendInt(o.dst, int64(v.value), 10)
	}
}

// nonEmpty appends a text unless it is empty.
func (o *object) nonEmpty(name, v string) {
	if v != "" {
		o.text(name, Some(v))
	}
}

func (o *object) instant(name string, i Instant) {
	o.key(name)
	o.dst = strconv.AppendInt(o.dst, int64(i), 10)
}

// someInstant appends an instant unless it is never.
func (o *object) someInstant(name string, i Instant) {
	if i != 0 {
		o.instant(name, i)
	}
}

func (o *object) artifacts(v Opt[BootArtifacts]) {
	if !v.set {
		return
	}
	o.key("boot_artifacts")
	o.mark()
	o.dst = append(o.dst, '{')
	o.some = false
	o.text("initrd", v.value.Initrd)
	o.text("kernel", v.value.Kernel)
	o.text("kernel_parameters", v.value.KernelParameters)
	o.end()
	o.mark()
}

// appendString appends s as a JSON string (RFC 8259, section 7). Bytes that
// are no UTF-8 become the replacement character.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if i += plainPrefix(s[i:]); i == len(s) {
			break
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, "\ufffd"...)
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
