// SPDX-License-Identifier: MIT

package legacy

import (
	"encoding/json"
	"math"
	"strings"

	"bos/internal/bos"
	"bos/internal/store"
)

// optionsKey is the one key of the original's options.
const optionsKey = "options"

// limits are the least and the greatest value of each option that is a number.
func limits() map[string][2]int {
	timeout, frequency, seconds := [2]int{10, 86400}, [2]int{0, 33554432}, [2]int{0, maxCount}
	return map[string][2]int{
		"bss_read_timeout": timeout, "cfs_read_timeout": timeout, "hsm_read_timeout": timeout,
		"ims_read_timeout": timeout, "pcs_read_timeout": timeout,
		"default_retry_policy": seconds, "discovery_frequency": frequency, "max_boot_wait_time": seconds,
		"max_component_batch_size": {0, 131071}, "max_power_off_wait_time": seconds,
		"max_power_on_wait_time": seconds, "polling_frequency": seconds,
	}
}

// convertOptions makes our options of the original's. What can't be taken keeps
// its default.
func convertOptions(d *doc, o *object) (Document, bool) {
	if d.key != optionsKey {
		d.refuse("the options are under the key %s alone", optionsKey)
		return Document{}, false
	}
	patch := map[string]any{}
	for name, within := range limits() {
		if v, ok := d.number(o, "", name, within[0], within[1]).Get(); ok {
			patch[name] = v
		}
	}
	for _, name := range []string{"clear_stage", "ims_errors_fatal", "ims_images_must_exist", "reject_nids", "session_limit_required"} {
		if v, ok := d.flag(o, "", name).Get(); ok {
			patch[name] = v
		}
	}
	d.optionTexts(o, patch)
	d.drop(o, "")
	body, err := json.Marshal(patch)
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	options, _, err := bos.DefaultOptions().Patch(body)
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	value, err := store.Encode(options)
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	return Document{
		Database: Options, Name: d.name, Key: store.KeyOptions, Value: value,
		face: func(value []byte) (string, error) {
			options, err := bos.DecodeOptions(value)
			if err != nil {
				return "", err
			}
			text, err := json.Marshal(options)
			return string(text), err
		},
	}, true
}

func (d *doc) optionTexts(o *object, patch map[string]any) {
	for _, option := range []struct{ name, units, what string }{
		{"cleanup_completed_session_ttl", "mMhHdDwW", "is no age such as 7d, or 0"},
		{"component_actual_state_ttl", "hHdDwW", "is no age such as 4h or 2d"},
	} {
		raw := o.members[option.name]
		v, ok := d.text(o, "", option.name, math.MaxInt).Get()
		switch {
		case !ok:
		case isAge(v, option.units):
			patch[option.name] = v
		default:
			d.leave(option.name, raw, "%s; the default is used", option.what)
		}
	}
	raw := o.members["logging_level"]
	if v, ok := d.text(o, "", "logging_level", math.MaxInt).Get(); ok {
		switch strings.ToUpper(v) {
		case "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL":
			patch["logging_level"] = v
		case "WARN":
			d.changed("logging_level", "%q became %q", v, "WARNING")
			patch["logging_level"] = "WARNING"
		default:
			d.leave("logging_level", raw, "is no level; the default is used")
		}
	}
}

// isAge reports whether a text is a number without leading zeros and one of
// some units; where minutes are among them, 0 with or without a unit is one too.
func isAge(s, units string) bool {
	if len(s) == 0 || len(s) > 8 {
		return false
	}
	zero := strings.ContainsRune(units, 'm')
	if s == "0" {
		return zero
	}
	digits, unit := s[:len(s)-1], s[len(s)-1:]
	if digits == "" || !strings.Contains(units, unit) || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return digits[0] != '0' || zero && digits == "0"
}

// convertToken makes our document of the artifacts behind a BSS token.
func convertToken(d *doc, o *object, at When) (Document, bool) {
	d.whole = true
	if d.key == "" || !isText(d.key, maxToken) {
		d.refuse("its key is no text of 1 to %d characters", maxToken)
		return Document{}, false
	}
	token := store.Token{BootArtifacts: d.artifactsIn(o, "")}
	d.whole = false
	// The time is not lost: it says how long the token is kept.
	token.UsedAt = at.instant(d.stamp(o, "", "timestamp").Value())
	d.drop(o, "")
	if d.why != "" {
		return Document{}, false
	}
	value, err := store.Encode(token)
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	return Document{
		Database: Tokens, Name: d.name, Key: store.TokenKey(d.key), Value: value,
		face: func(value []byte) (string, error) {
			var t store.Token
			if err := json.Unmarshal(value, &t); err != nil {
				return "", err
			}
			text, err := json.Marshal(t.BootArtifacts)
			return string(text), err
		},
	}, true
}

// convertStatus makes our document of the extended status that was saved when a
// session was complete. It is computed, so what is wrong with it has no right
// form.
func convertStatus(d *doc, o *object, s *member) (Document, bool) {
	d.name = shown(s.session.Key())
	var known bos.ExtendedStatus
	empty, err := json.Marshal(bos.ExtendedStatus{ErrorSummary: map[string]bos.ErrorSummary{}})
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	d.keep(o, "", empty)
	clean, err := o.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(clean, &known)
	}
	if err != nil {
		d.refuse("it is no saved status: a field has the wrong type")
		return Document{}, false
	}
	if known.ErrorSummary == nil {
		known.ErrorSummary = map[string]bos.ErrorSummary{}
	}
	value, err := store.Encode(known)
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	return Document{
		Database: Statuses, Name: d.name, Key: store.StatusKey(s.session.Key()), Value: value,
		face: func(value []byte) (string, error) {
			var status bos.ExtendedStatus
			if err := json.Unmarshal(value, &status); err != nil {
				return "", err
			}
			text, err := json.Marshal(status)
			return string(text), err
		},
	}, true
}

// keep drops the members of an object, and of those in it, that an example does
// not have. Objects without members in the example are open.
func (d *doc) keep(o *object, path string, example []byte) {
	like, err := parseObject(example)
	if err != nil || len(like.keys) == 0 {
		return
	}
	for _, name := range o.keys {
		example, known := like.members[name]
		if !known {
			d.changed(join(path, name), "dropped: there is no such field")
			delete(o.members, name)
			continue
		}
		if in, err := parseObject(o.members[name]); err == nil {
			d.keep(in, join(path, name), example)
			if text, err := in.MarshalJSON(); err == nil {
				o.members[name] = text
			}
		}
	}
}

// MarshalJSON writes the members that are left, in their order.
func (o *object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for _, name := range o.keys {
		value, ok := o.members[name]
		if !ok {
			continue
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return append(out, '}'), nil
}
