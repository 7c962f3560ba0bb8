// SPDX-License-Identifier: MIT

// Package apidoc turns the API's document into a page for people: each
// operation with its parameters, its body, its answers and an example, and each
// schema with its fields.
package apidoc

import (
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:generate go run bos/internal/apidoc/write

// oursTag marks the operations that the original doesn't have.
const oursTag = "ours"

const head = `# API reference

This page is generated from ` + "`internal/api/openapi.yaml`" + ` by ` + "`go generate ./internal/apidoc`" + `; a
test keeps it fresh. A server has the same document at ` + "`/openapi.yaml`" + ` and ` + "`/openapi.json`" + `.
Operations that are marked **ours** are additions; the original has none of them.

`

// page is a page that is being written.
type page struct {
	strings.Builder
	root *yaml.Node
	// fault is the first thing in the document that can't be shown.
	fault error
}

// operation is a method of a path.
type operation struct {
	method, path string
	at, shared   *yaml.Node
}

// Markdown returns the page of an OpenAPI document in YAML. A reference that
// leads nowhere is an error.
func Markdown(document []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("read the API's document: %w", err)
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("read the API's document: it has %d documents", len(doc.Content))
	}
	p := &page{root: doc.Content[0]}
	p.WriteString(head)
	info := get(p.root, "info")
	about := strings.ReplaceAll(strings.TrimSpace(text(get(info, "description"))), "\n## ", "\n### ")
	p.printf("## About\n\n%s\n", about)
	all := p.operations()
	p.contents(all)
	for _, tag := range items(get(p.root, "tags")) {
		name := text(get(tag, "name"))
		p.printf("\n## %s\n\n%s.\n", title(name), text(get(tag, "description")))
		for _, op := range all {
			if op.tag() == name {
				p.operation(op)
			}
		}
	}
	p.printf("\n## Schemas\n")
	for name, schema := range pairs(get(get(p.root, "components"), "schemas")) {
		p.schema(name, schema)
	}
	return []byte(p.String()), p.fault
}

func (p *page) printf(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// operations are those of the document, in its order.
func (p *page) operations() []operation {
	var all []operation
	for path, item := range pairs(get(p.root, "paths")) {
		for method, at := range pairs(item) {
			if at.Kind == yaml.MappingNode {
				all = append(all, operation{strings.ToUpper(method), path, at, get(item, "parameters")})
			}
		}
	}
	return all
}

func (o operation) tag() string {
	if tags := items(get(o.at, "tags")); len(tags) > 0 {
		return text(tags[0])
	}
	return ""
}

func (o operation) heading() string { return o.method + " " + o.path }

// anchor is what a heading is linked by.
func anchor(heading string) string {
	var out strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			out.WriteByte('-')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			out.WriteRune(r)
		}
	}
	return out.String()
}

// contents writes the table of all operations.
func (p *page) contents(all []operation) {
	p.printf("\n## All operations\n\n| operation | what it does | |\n|---|---|---|\n")
	for _, op := range all {
		mark := ""
		if op.tag() == oursTag {
			mark = "**ours**"
		}
		p.printf("| [`%s`](#%s) | %s | %s |\n", op.heading(), anchor(op.heading()), cell(text(get(op.at, "summary"))), mark)
	}
}

func (p *page) operation(op operation) {
	p.printf("\n### %s\n\n%s (`%s`)", op.heading(), text(get(op.at, "summary")), text(get(op.at, "operationId")))
	if op.tag() == oursTag {
		p.printf(" **ours**")
	}
	p.printf("\n\n%s\n", strings.TrimSpace(text(get(op.at, "description"))))
	p.parameters(append(items(op.shared), items(get(op.at, "parameters"))...))
	p.body(op)
	p.answers(get(op.at, "responses"))
}

func (p *page) parameters(list []*yaml.Node) {
	if len(list) == 0 {
		return
	}
	p.printf("\n| parameter | in | type | meaning |\n|---|---|---|---|\n")
	for _, at := range list {
		at, _ := p.resolve(at)
		must := ""
		if text(get(at, "required")) == "true" {
			must = ", required"
		}
		p.printf("| `%s` | %s%s | %s | %s |\n", text(get(at, "name")), text(get(at, "in")), must,
			cell(p.typeOf(get(at, "schema"))), cell(text(get(at, "description"))))
	}
}

func (p *page) body(op operation) {
	body, _ := p.resolve(get(op.at, "requestBody"))
	if body == nil {
		return
	}
	for kind, media := range pairs(get(body, "content")) {
		p.printf("\nBody (`%s`", kind)
		if size := text(get(op.at, "x-bos-max-body")); size != "" {
			p.printf(", at most %s bytes", size)
		}
		p.printf("): %s\n", p.typeOf(get(media, "schema")))
		p.example(media)
	}
}

func (p *page) answers(list *yaml.Node) {
	p.printf("\n| answer | meaning | body |\n|---|---|---|\n")
	var shown *yaml.Node
	for status, at := range pairs(list) {
		at, _ := p.resolve(at)
		var kinds []string
		for _, media := range pairs(get(at, "content")) {
			kinds = append(kinds, p.typeOf(get(media, "schema")))
			if status[0] == '2' && shown == nil {
				shown = media
			}
		}
		p.printf("| %s | %s | %s |\n", status, cell(text(get(at, "description"))), cell(strings.Join(kinds, ", ")))
	}
	p.example(shown)
}

// example writes the first example of a media type, if it has one.
func (p *page) example(media *yaml.Node) {
	at := get(media, "example")
	for _, named := range pairs(get(media, "examples")) {
		named, _ := p.resolve(named)
		at = cmp.Or(at, get(named, "value"))
	}
	if at == nil {
		return
	}
	if at.Kind == yaml.ScalarNode && strings.Contains(at.Value, "\n") {
		p.printf("\n```text\n%s\n```\n", strings.TrimSpace(at.Value))
		return
	}
	shown, err := asJSON(at)
	p.fault = cmp.Or(p.fault, err)
	p.printf("\n```json\n%s\n```\n", shown)
}
