// SPDX-License-Identifier: MIT

// Package front is the one place where requests are decoded and checked. It is
// compiled from the API's OpenAPI document: what that says of parameters and
// bodies is what is accepted. What a later part of the service decodes has
// passed here, and every decoder reads it the same way: no duplicate members,
// no byte order mark, valid UTF-8, numbers in range.
//
// Everything is immutable once loaded and may be used by many goroutines.
package front

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Front holds the compiled operations of an OpenAPI document.
type Front struct {
	operations []*Operation
	byID       map[string]*Operation
	json       []byte
}

// Operation is one operation of the document: its name there, its method and
// the template of its path.
type Operation struct {
	// ID is the operationId, such as get_v2_component.
	ID string
	// Method is the HTTP method in upper case.
	Method string
	// Path is the path template, such as /v2/components/{component_id}.
	Path string

	params      []parameter
	closedQuery bool
	body        *schema
	bodyNeeded  bool
	maxBody     int64
}

// Load compiles an OpenAPI 3.0 document in YAML. It fails if a parameter or a
// request body uses a keyword that would not be enforced.
func Load(document []byte) (*Front, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, errors.New("reading the OpenAPI document: one YAML document is expected")
	}
	text, err := appendJSON(nil, root.Content[0])
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document as JSON: %w", err)
	}
	c := compiler{root: root.Content[0], schemas: map[string]*schema{}}
	operations, err := c.operations()
	if err != nil {
		return nil, fmt.Errorf("compiling the OpenAPI document: %w", err)
	}
	f := &Front{operations: operations, byID: make(map[string]*Operation, len(operations)), json: text}
	for _, o := range operations {
		if f.byID[o.ID] != nil {
			return nil, fmt.Errorf("compiling the OpenAPI document: two operations are called %q", o.ID)
		}
		f.byID[o.ID] = o
	}
	return f, nil
}

// JSON returns the document as JSON. The caller must not change it.
func (f *Front) JSON() []byte { return f.json }

// Operations returns all operations in the order of the document.
func (f *Front) Operations() []Operation {
	all := make([]Operation, 0, len(f.operations))
	for _, o := range f.operations {
		all = append(all, *o)
	}
	return all
}

// Operation returns the operation of an id, or nil if there is none.
func (f *Front) Operation(id string) *Operation { return f.byID[id] }

// HasBody reports whether the operation takes a body. One that is sent to an
// operation that takes none is to be ignored.
func (o *Operation) HasBody() bool { return o.body != nil }

// MaxBody is the size in bytes of the largest body that the operation takes; 0
// if it takes none. Nothing longer needs to be read.
func (o *Operation) MaxBody() int64 { return o.maxBody }

// Tenanted reports whether the operation is made on behalf of a tenant.
func (o *Operation) Tenanted() bool {
	return slices.ContainsFunc(o.params, func(p parameter) bool {
		return p.in == inHeader && p.name == tenantHeader
	})
}
