// SPDX-License-Identifier: MIT

package bos

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

// Texts returns the text that bytes stand for. It must not keep the bytes; for
// texts that many documents share it may return the same one each time.
type Texts func([]byte) string

func copied(b []byte) string { return string(b) }

// DecodeRecord reads a record that [Record.AppendJSON] wrote: members in its
// order, no white space. Any other document is no fault but false, and is left
// to a general decoder. Texts but the id come from texts; nil makes new ones.
func DecodeRecord(data []byte, texts Texts) (*Record, bool) {
	if texts == nil {
		texts = copied
	}
	d := decoder{rest: data, texts: texts}
	rec := &Record{}
	d.open()
	if d.begin("doc") {
		d.component(&rec.Component)
	}
	if d.begin("sealed") {
		d.sealed(&rec.Sealed)
	}
	d.end()
	return rec, !d.odd && len(d.rest) == 0
}

// decoder reads JSON whose members come in a known order. odd is set by
// anything that the encoder would not have written.
type decoder struct {
	rest  []byte
	texts Texts
	some  bool // whether the current object has had a member
	odd   bool
}

func (d *decoder) component(c *Component) {
	if d.begin("actual_state") {
		var s ActualState
		d.artifacts(&s.BootArtifacts)
		d.text("bss_token", &s.BSSToken)
		d.text("last_updated", &s.LastUpdated)
		d.end()
		c.ActualState = Some(s)
	}
	if d.begin("desired_state") {
		var s DesiredState
		d.artifacts(&s.BootArtifacts)
		d.text("bss_token", &s.BSSToken)
		d.text("configuration", &s.Configuration)
		d.text("last_updated", &s.LastUpdated)
		d.end()
		c.DesiredState = Some(s)
	}
	d.flag("enabled", &c.Enabled)
	d.text("error", &c.Error)
	if d.begin("event_stats") {
		var s EventStats
		d.number("power_off_forceful_attempts", &s.PowerOffForcefulAttempts)
		d.number("power_off_graceful_attempts", &s.PowerOffGracefulAttempts)
		d.number("power_on_attempts", &s.PowerOnAttempts)
		d.end()
		c.EventStats = Some(s)
	}
	if d.key("id") {
		c.ID = d.string(copied)
	}
	if d.begin("last_action") {
		var s LastAction
		d.lastAction(&s)
		d.end()
		c.LastAction = Some(s)
	}
	d.number("retry_policy", &c.RetryPolicy)
	d.text("session", &c.Session)
	if d.begin("staged_state") {
		var s StagedState
		d.artifacts(&s.BootArtifacts)
		d.text("configuration", &s.Configuration)
		d.text("last_updated", &s.LastUpdated)
		d.text("session", &s.Session)
		d.end()
		c.StagedState = Some(s)
	}
	if d.begin("status") {
		var s Status
		readText(d, "phase", &s.Phase)
		d.text("status_override", &s.StatusOverride)
		d.end()
		c.Status = Some(s)
	}
	d.end()
}

func (d *decoder) artifacts(into *Opt[BootArtifacts]) {
	if !d.begin("boot_artifacts") {
		return
	}
	var a BootArtifacts
	d.text("initrd", &a.Initrd)
	d.text("kernel", &a.Kernel)
	d.text("kernel_parameters", &a.KernelParameters)
	d.end()
	*into = Some(a)
}

func (d *decoder) lastAction(s *LastAction) {
	readText(d, "action", &s.Action)
	d.flag("failed", &s.Failed)
	d.text("last_updated", &s.LastUpdated)
}

func (d *decoder) sealed(s *Sealed) {
	d.plain("owner", &s.Owner)
	d.plain("staged_owner", &s.StagedOwner)
	d.plain("staged_operation", (*string)(&s.StagedOperation))
	if d.key("staged_applied") {
		s.StagedApplied = d.bool()
	}
	if d.key("restart") {
		s.Restart = d.bool()
	}
	d.plain("plan", &s.Plan)
	if d.begin("attempt") {
		a := &AttemptMark{}
		d.plain("id", &a.ID)
		d.plain("action", (*string)(&a.Action))
		d.instant("at", &a.At)
		if d.begin("last_action") {
			d.lastAction(&a.LastAction)
			d.end()
		}
		d.instant("action_at", &a.ActionAt)
		d.end()
		s.Attempt = a
	}
	if d.begin("wait") {
		w := &Wait{}
		d.plain("by", &w.By)
		d.plain("on", &w.On)
		d.instant("since", &w.Since)
		d.instant("due", &w.Due)
		d.plain("text", &w.Text)
		d.end()
		s.Wait = w
	}
	d.instant("actual_at", &s.ActualAt)
	d.instant("action_at", &s.ActionAt)
	s.Left = d.left("left", mostLeft)
	d.end()
}

// left reads a list of what a node came to, of at most so many entries.
func (d *decoder) left(name string, most int) *Left {
	if most == 0 || !d.begin(name) {
		return nil
	}
	l := &Left{}
	d.plain("tenant", &l.Tenant)
	d.plain("session", &l.Session)
	d.plain("came_to", (*string)(&l.CameTo))
	d.plain("error", &l.Error)
	l.Former = d.left("former", most-1)
	d.end()
	return l
}

// open reads the beginning of an object.
func (d *decoder) open() {
	if len(d.rest) == 0 || d.rest[0] != '{' {
		d.odd = true
		return
	}
	d.rest = d.rest[1:]
	d.some = false
}

// end reads the end of an object.
func (d *decoder) end() {
	if len(d.rest) == 0 || d.rest[0] != '}' {
		d.odd = true
		return
	}
	d.rest = d.rest[1:]
	d.some = true
}

// key reads the name of the next member if it is this one.
func (d *decoder) key(name string) bool {
	b := d.rest
	if d.some {
		if len(b) == 0 || b[0] != ',' {
			return false
		}
		b = b[1:]
	}
	n := len(name)
	if len(b) < n+3 || b[0] != '"' || string(b[1:n+1]) != name || b[n+1] != '"' || b[n+2] != ':' {
		return false
	}
	d.rest, d.some = b[n+3:], true
	return true
}

// begin reads the name of the next member and the beginning of the object that
// it is, if it has this name.
func (d *decoder) begin(name string) bool {
	if d.odd || !d.key(name) {
		return false
	}
	d.open()
	return true
}

func (d *decoder) text(name string, into *Opt[string]) { readText(d, name, into) }

func readText[T ~string](d *decoder, name string, into *Opt[T]) {
	if d.key(name) {
		*into = Some(T(d.string(d.texts)))
	}
}

func (d *decoder) plain(name string, into *string) {
	if d.key(name) {
		*into = d.string(d.texts)
	}
}

func (d *decoder) flag(name string, into *Opt[bool]) {
	if d.key(name) {
		*into = Some(d.bool())
	}
}

func (d *decoder) bool() bool {
	switch b := d.rest; {
	case len(b) >= 4 && string(b[:4]) == "true":
		d.rest = b[4:]
		return true
	case len(b) >= 5 && string(b[:5]) == "false":
		d.rest = b[5:]
		return false
	}
	d.odd = true
	return false
}

func (d *decoder) number(name string, into *Opt[int]) {
	if d.key(name) {
		*into = Some(int(d.integer()))
	}
}

func (d *decoder) instant(name string, into *Instant) {
	if d.key(name) {
		*into = Instant(d.integer())
	}
}

// maxDigits is how many digits surely fit into 64 bits.
const maxDigits = 18

// integer reads a number without a fraction.
func (d *decoder) integer() int64 {
	b := d.rest
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	digits := 0
	value := int64(0)
	for digits < len(b) && b[digits]-'0' <= 9 {
		if digits++; digits > maxDigits {
			break
		}
		value = value*10 + int64(b[digits-1]-'0')
	}
	if digits == 0 || digits > maxDigits || digits > 1 && b[0] == '0' {
		d.odd = true
		return 0
	}
	d.rest = b[digits:]
	if negative {
		return -value
	}
	return value
}

// string reads a text.
func (d *decoder) string(texts Texts) string {
	b := d.rest
	if len(b) < 2 || b[0] != '"' {
		d.odd = true
		return ""
	}
	b = b[1:]
	if n := plainLength(b); n < len(b) && b[n] == '"' {
		d.rest = b[n+1:]
		return texts(b[:n])
	}
	return d.escaped(texts)
}

// escaped reads a text with escapes or with characters beyond ASCII.
func (d *decoder) escaped(texts Texts) string {
	for i := 1; i < len(d.rest); i++ {
		switch d.rest[i] {
		case '\\':
			i++
		case '"':
			var s string
			if json.Unmarshal(d.rest[:i+1], &s) != nil {
				d.odd = true
				return ""
			}
			d.rest = d.rest[i+1:]
			return texts([]byte(s))
		}
	}
	d.odd = true
	return ""
}

// plainLength returns how many bytes come before the first one that is not
// printable ASCII, or is a quotation mark or a backslash. It looks at eight
// bytes at a time.
func plainLength(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if s := special(binary.LittleEndian.Uint64(b[i:])); s != 0 {
			return i + bits.TrailingZeros64(s)/8
		}
	}
	for ; i < len(b) && isPlain(b[i]); i++ {
	}
	return i
}

// plainPrefix is plainLength for a string.
func plainPrefix(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		if s := special(w); s != 0 {
			return i + bits.TrailingZeros64(s)/8
		}
	}
	for ; i < len(s) && isPlain(s[i]); i++ {
	}
	return i
}

func isPlain(c byte) bool { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' }

// special returns the high bit of each of eight bytes that is not plain, and
// maybe of some after the first such one.
func special(w uint64) uint64 {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	quote, slash := w^ones*'"', w^ones*'\\'
	return (w | (w - ones*0x20) | (quote - ones) | (slash - ones)) & high
}
