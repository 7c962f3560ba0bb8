// SPDX-License-Identifier: MIT

package apidoc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// get returns a member of a mapping, or nil.
func get(at *yaml.Node, key string) *yaml.Node {
	for name, value := range pairs(at) {
		if name == key {
			return value
		}
	}
	return nil
}

// pairs are the members of a mapping, in their order.
func pairs(at *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if at == nil || at.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(at.Content); i += 2 {
			if !yield(at.Content[i].Value, at.Content[i+1]) {
				return
			}
		}
	}
}

// items are those of a sequence.
func items(at *yaml.Node) []*yaml.Node {
	if at == nil || at.Kind != yaml.SequenceNode {
		return nil
	}
	return slices.Clip(at.Content)
}

// text is what a scalar says, or "".
func text(at *yaml.Node) string {
	if at == nil || at.Kind != yaml.ScalarNode {
		return ""
	}
	return at.Value
}

// cell makes a text fit into a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// resolve follows a reference, and returns the last part of it as a name.
func (p *page) resolve(at *yaml.Node) (*yaml.Node, string) {
	ref := text(get(at, "$ref"))
	if ref == "" {
		return at, ""
	}
	found := p.root
	parts := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	for _, part := range parts {
		found = get(found, part)
	}
	if found == nil {
		p.fault = cmp.Or(p.fault, fmt.Errorf("the reference %s leads nowhere", ref))
		found = &yaml.Node{Kind: yaml.MappingNode}
	}
	return found, parts[len(parts)-1]
}

// typeOf says in a few words what a schema allows.
func (p *page) typeOf(at *yaml.Node) string {
	if at == nil {
		return ""
	}
	if _, name := p.resolve(at); name != "" {
		return fmt.Sprintf("[%s](#%s)", name, anchor(schemaHeading(name)))
	}
	for _, choice := range [][2]string{{"allOf", " and "}, {"oneOf", " or "}, {"anyOf", " or "}} {
		var parts []string
		for _, part := range items(get(at, choice[0])) {
			if kind := p.typeOf(part); kind != "" {
				parts = append(parts, kind)
			}
		}
		if len(parts) > 0 {
			return strings.Join(parts, choice[1]) + nullable(at)
		}
	}
	kind := text(get(at, "type"))
	switch kind {
	case "array":
		kind = "array of " + p.typeOf(get(at, "items"))
	case "object":
		if values := get(at, "additionalProperties"); values != nil && values.Kind == yaml.MappingNode {
			kind = "object of " + p.typeOf(values)
		}
	}
	return kind + bounds(at) + nullable(at)
}

func nullable(at *yaml.Node) string {
	if text(get(at, "nullable")) == "true" {
		return " or null"
	}
	return ""
}

// bounds says what a schema asks beside the type.
func bounds(at *yaml.Node) string {
	var out []string
	var enum []string
	for _, value := range items(get(at, "enum")) {
		enum = append(enum, "`"+cmp.Or(text(value), `""`)+"`")
	}
	if len(enum) > 0 {
		out = append(out, "one of "+strings.Join(enum, ", "))
	}
	for _, bound := range [][3]string{{"minimum", "maximum", ""}, {"minLength", "maxLength", " characters"}, {"minItems", "maxItems", " items"}} {
		low, high := text(get(at, bound[0])), text(get(at, bound[1]))
		switch {
		case low != "" && high != "":
			out = append(out, low+" to "+high+bound[2])
		case high != "":
			out = append(out, "at most "+high+bound[2])
		case low != "":
			out = append(out, "at least "+low+bound[2])
		}
	}
	if value := get(at, "default"); value != nil {
		out = append(out, "default `"+cmp.Or(text(value), `""`)+"`")
	}
	if len(out) == 0 {
		return ""
	}
	return ", " + strings.Join(out, ", ")
}

func schemaHeading(name string) string { return "Schema " + name }

// schema writes a schema with its fields.
func (p *page) schema(name string, at *yaml.Node) {
	p.printf("\n### %s\n\n", schemaHeading(name))
	if about := strings.TrimSpace(text(get(at, "description"))); about != "" {
		p.printf("%s\n\n", about)
	}
	p.printf("Type: %s\n", p.typeOf(at))
	var must []string
	for _, field := range items(get(at, "required")) {
		must = append(must, text(field))
	}
	first := true
	for field, is := range pairs(get(at, "properties")) {
		if first {
			p.printf("\n| field | type | meaning |\n|---|---|---|\n")
			first = false
		}
		about, _ := p.resolve(is)
		kind := p.typeOf(is)
		for _, mark := range []struct {
			word string
			is   bool
		}{{"required", slices.Contains(must, field)}, {"read-only", text(get(about, "readOnly")) == "true"}} {
			if mark.is {
				kind += ", " + mark.word
			}
		}
		p.printf("| `%s` | %s | %s |\n", field, cell(kind), cell(text(get(about, "description"))))
	}
}

// asJSON writes a value as indented JSON, its members in their order.
func asJSON(at *yaml.Node) (string, error) {
	var flat, out bytes.Buffer
	if err := writeJSON(&flat, at); err != nil {
		return "", err
	}
	if err := json.Indent(&out, flat.Bytes(), "", "  "); err != nil {
		return "", fmt.Errorf("line %d: show the example: %w", at.Line, err)
	}
	return out.String(), nil
}

func writeJSON(out *bytes.Buffer, at *yaml.Node) error {
	var faults []error
	separate := func(first bool) {
		if !first {
			out.WriteByte(',')
		}
	}
	switch at.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		first := true
		for name, value := range pairs(at) {
			separate(first)
			first = false
			faults = append(faults, quote(out, name))
			out.WriteByte(':')
			faults = append(faults, writeJSON(out, value))
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, value := range at.Content {
			separate(i == 0)
			faults = append(faults, writeJSON(out, value))
		}
		out.WriteByte(']')
	default:
		switch at.Tag {
		case "!!int", "!!float", "!!bool", "!!null":
			out.WriteString(at.Value)
		default:
			return quote(out, at.Value)
		}
	}
	return errors.Join(faults...)
}

func quote(out *bytes.Buffer, s string) error {
	b := json.NewEncoder(out)
	b.SetEscapeHTML(false)
	return b.Encode(s)
}
