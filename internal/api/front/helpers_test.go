// SPDX-License-Identifier: MIT

package front

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"

	"bos/internal/bos"
)

const documentPath = "../openapi.yaml"

func document(tb testing.TB) []byte {
	tb.Helper()
	text, err := os.ReadFile(documentPath)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// load loads the API's document.
func load(tb testing.TB) *Front {
	tb.Helper()
	f, err := Load(document(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// operation returns an operation of the API's document.
func operation(tb testing.TB, id string) *Operation {
	tb.Helper()
	o := load(tb).Operation(id)
	if o == nil {
		tb.Fatalf("there is no operation %s", id)
	}
	return o
}

// oracle is the general validator that the front is compared with.
type oracle struct {
	document *openapi3.T
	bodies   map[string]*openapi3.Schema
}

func newOracle(tb testing.TB) *oracle {
	tb.Helper()
	parsed, err := openapi3.NewLoader().LoadFromFile(documentPath)
	if err != nil {
		tb.Fatal(err)
	}
	o := &oracle{document: parsed, bodies: map[string]*openapi3.Schema{}}
	o.each(func(_, _ string, _ *openapi3.PathItem, op *openapi3.Operation) {
		if op.RequestBody != nil {
			o.bodies[op.OperationID] = op.RequestBody.Value.Content.Get("application/json").Schema.Value
		}
	})
	return o
}

// each calls f for every operation.
func (o *oracle) each(f func(method, path string, item *openapi3.PathItem, op *openapi3.Operation)) {
	for path, item := range o.document.Paths.Map() {
		for method, op := range item.Operations() {
			f(method, path, item, op)
		}
	}
}

// accepts reports whether the oracle accepts a body.
func (o *oracle) accepts(id string, body []byte) bool {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return false
	}
	return o.bodies[id].VisitJSON(value, openapi3.VisitAsRequest()) == nil
}

// strictJSON reports whether a text is JSON as the contract wants it, repeated
// names apart.
func strictJSON(text []byte) bool { return decodes(text, jsontext.AllowDuplicateNames(true)) }

// uniqueJSON reports whether a text is JSON without repeated names.
func uniqueJSON(text []byte) bool { return decodes(text) }

// decodes reports whether the strict decoder reads a text as one value that is
// not nested too deeply.
func decodes(text []byte, options ...jsontext.Options) bool {
	d := jsontext.NewDecoder(bytes.NewReader(text), options...)
	values := 0
	for {
		_, err := d.ReadToken()
		if err != nil {
			return values == 1 && errors.Is(err, io.EOF)
		}
		switch depth := d.StackDepth(); {
		case depth > maxDepth:
			return false
		case depth == 0:
			values++
		}
	}
}

// failer is what tests of both kinds have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// wantCode fails unless err is a [bos.Error] of a code, and returns its message.
func wantCode(tb failer, err error, code bos.Code) string {
	tb.Helper()
	var e *bos.Error
	if !errors.As(err, &e) {
		tb.Fatalf("got %v, want an error of the domain", err)
	}
	if e.Code != code {
		tb.Fatalf("got code %s (%s), want %s", e.Code, e.Message, code)
	}
	if e.Message == "" || e.Err != nil {
		tb.Fatalf("want a message without a cause, got %q and %v", e.Message, e.Err)
	}
	return e.Message
}
