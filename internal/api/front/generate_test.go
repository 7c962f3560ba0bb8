// SPDX-License-Identifier: MIT

package front

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// maker writes bodies from a schema: mostly good ones, with a fault here and
// there. What the front refuses and the oracle accepts is noted in strict.
type maker struct {
	t   *rapid.T
	out strings.Builder
	// strict says why the front refuses what was written, if the oracle does
	// not: the intended differences.
	strict string
}

// one reports true in one of n cases.
func (m *maker) one(n int) bool { return rapid.IntRange(1, n).Draw(m.t, "chance") == n }

func (m *maker) pick(values ...string) string { return rapid.SampledFrom(values).Draw(m.t, "pick") }

// space writes white space, as a rule none.
func (m *maker) space() {
	if m.one(12) {
		m.out.WriteString(m.pick(" ", "\n", "\t", "\r\n "))
	}
}

// text writes a string, with escapes now and then.
func (m *maker) text(value string) {
	m.out.WriteByte('"')
	for _, r := range value {
		switch {
		case r == '"' || r == '\\':
			m.out.WriteString(`\` + string(r))
		case r < ' ' || len(value) < 200 && m.one(60):
			if r > math.MaxUint16 {
				r -= 0x10000
				fmt.Fprintf(&m.out, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				fmt.Fprintf(&m.out, `\u%04X`, r)
			}
		default:
			m.out.WriteRune(r)
		}
	}
	m.out.WriteByte('"')
}

// garbage is a value that fits hardly anywhere.
func (m *maker) garbage() string {
	return m.pick(`null`, `true`, `false`, `0`, `-1`, `12`, `1.5`, `"x"`, `""`, `"-bad"`, `{}`, `[]`, `[null]`,
		`{"a":{"b":[1,"x"]}}`, `99999999999999999999`, `"\u00e9\ud83d\ude00"`, `[{"id":"x1"}]`)
}

// value writes a value for a schema.
func (m *maker) value(s *openapi3.Schema) {
	m.space()
	defer m.space()
	if m.one(60) {
		m.out.WriteString(m.garbage())
		return
	}
	if m.one(1000) {
		m.strict = "NaN and Infinity are not JSON"
		m.out.WriteString(m.pick("NaN", "Infinity", "-Infinity"))
		return
	}
	switch {
	case len(s.OneOf) > 0:
		m.value(s.OneOf[rapid.IntRange(0, len(s.OneOf)-1).Draw(m.t, "alternative")].Value)
	case s.Nullable && m.one(4):
		m.out.WriteString("null")
	case s.Type.Is("string"):
		m.string(s)
	case s.Type.Is("integer"):
		m.integer(s)
	case s.Type.Is("boolean"):
		m.out.WriteString(m.pick("true", "false"))
	case s.Type.Is("array"):
		m.array(s)
	default:
		m.object(s)
	}
}

func (m *maker) string(s *openapi3.Schema) {
	most := uint64(50)
	if s.MaxLength != nil {
		most = *s.MaxLength
	}
	switch {
	case len(s.Enum) > 0:
		value, _ := rapid.SampledFrom(s.Enum).Draw(m.t, "enum").(string)
		m.text(value)
	case most <= 70_000 && m.one(25): // at and beyond the limit
		n := int(most) + rapid.IntRange(-1, 1).Draw(m.t, "beyond")
		m.text(strings.Repeat(m.pick("a", "7", "é", "😀"), max(n, 0)))
	case s.Pattern != "":
		m.text(rapid.StringMatching(s.Pattern).Draw(m.t, "text") + m.pick("", "", "", "", "", "", "", "\n"))
	default:
		n := int(min(most, 12))
		m.text(rapid.StringOfN(rapid.RuneFrom([]rune("ax0-,é☃😀\"\\\u0001")), min(int(s.MinLength), n), n, -1).Draw(m.t, "text"))
	}
}

func (m *maker) integer(s *openapi3.Schema) {
	n := rapid.IntRange(int(*s.Min), int(*s.Max)).Draw(m.t, "integer")
	switch text := strconv.Itoa(n); {
	case m.one(20):
		m.out.WriteString(strconv.Itoa(int(m.pick("0", "1")[0]-'0')*(int(*s.Max)+2) - 1))
	case m.one(40):
		m.strict = "an integer is written in decimal digits"
		m.out.WriteString(text + m.pick(".0", "e0", "E+0", ".000"))
	default:
		m.out.WriteString(text)
	}
}

func (m *maker) array(s *openapi3.Schema) {
	m.out.WriteByte('[')
	for i := range rapid.IntRange(min(int(s.MinItems), 1)-1, 3).Draw(m.t, "items") {
		if i > 0 {
			m.out.WriteByte(',')
		}
		m.value(s.Items.Value)
	}
	m.space()
	m.out.WriteByte(']')
}

// object writes an object: its members in any order, some of them twice.
func (m *maker) object(s *openapi3.Schema) {
	var names []string
	required := s.Required
	if len(s.AnyOf) > 0 {
		required = slices.Concat(required, rapid.SampledFrom(s.AnyOf).Draw(m.t, "alternative").Value.Required)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		chance := 3
		switch {
		case slices.Contains(required, name):
			if m.one(40) {
				continue
			}
			chance = 1
		case s.Properties[name].Value.ReadOnly:
			chance = 60
		case len(s.Properties) > 12:
			chance = 6
		}
		if m.one(chance) {
			names = append(names, name)
		}
	}
	if m.one(40) {
		names = append(names, m.pick("foo", "", "Name", "é", "__proto__"))
	}
	if others := s.AdditionalProperties; others.Schema != nil || others.Has != nil && *others.Has {
		for range rapid.IntRange(0, 3).Draw(m.t, "others") {
			names = append(names, m.pick("compute", "uan", "b1", "free", "-bad", "a b"))
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	if len(names) > 1 {
		names = rapid.Permutation(names).Draw(m.t, "order")
	}
	m.out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			m.out.WriteByte(',')
		}
		if m.one(30) {
			m.space()
			m.text(name)
			m.out.WriteString(":" + m.garbage() + ",")
		}
		m.space()
		m.text(name)
		m.space()
		m.out.WriteByte(':')
		m.memberValue(s, name)
	}
	m.space()
	m.out.WriteByte('}')
}

func (m *maker) memberValue(s *openapi3.Schema, name string) {
	property := s.Properties[name]
	switch others := s.AdditionalProperties; {
	case property != nil:
		if property.Value.ReadOnly {
			m.strict = "a read-only field may not be null either"
		}
		m.value(property.Value)
	case others.Schema != nil:
		m.value(others.Schema.Value)
	case m.one(30):
		m.strict = "a number must be finite"
		m.out.WriteString(m.pick("1e999", "[-1e999]"))
	default:
		m.out.WriteString(m.garbage())
	}
}
