// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"bos/internal/api/front"
)

// handler answers a request that was routed and checked. It either writes an
// answer or returns an error, which becomes a problem document.
type handler func(x *exchange) error

// endpoint is one operation and who answers it.
type endpoint struct {
	operation *front.Operation
	handle    handler
	// maxBody is the size in bytes of the largest body that is taken; timeout
	// bounds the work on a request, 0 does not.
	maxBody int64
	timeout time.Duration
}

// router finds the endpoint of a path and a method: a tree of path segments,
// made once from the document.
type router struct {
	root *node
	// endpoints are those of all operations, by operationId.
	endpoints map[string]*endpoint
}

// node is a place in the tree: what may follow, and the methods of the path
// that ends here.
type node struct {
	literals map[string]*node
	param    *node
	// name is what the parameter is called whose value leads here.
	name    string
	methods map[string]*endpoint
	// allow is the header Allow for this path.
	allow string
}

// newRouter makes a router of all operations of the document; each needs a
// handler, and no handler may be left over.
func newRouter(f *front.Front, handlers map[string]handler) (*router, error) {
	r := &router{root: &node{}, endpoints: map[string]*endpoint{}}
	all := f.Operations()
	if len(all) != len(handlers) {
		return nil, fmt.Errorf("there are %d operations and %d handlers", len(all), len(handlers))
	}
	for i := range all {
		operation := f.Operation(all[i].ID)
		handle := handlers[operation.ID]
		if handle == nil {
			return nil, fmt.Errorf("nobody answers %s", operation.ID)
		}
		n, err := r.root.grow(segments(operation.Path))
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", operation.Path, err)
		}
		e := &endpoint{operation: operation, handle: handle}
		r.endpoints[operation.ID] = e
		n.answer(e)
	}
	return r, nil
}

// segments cuts a path; the root has none.
func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// grow returns the node of a path template, made if need be. A place where
// both a parameter and a literal could follow is refused: which one a request
// means would be a guess.
func (n *node) grow(template []string) (*node, error) {
	for _, segment := range template {
		name, isParam := strings.CutPrefix(segment, "{")
		if isParam {
			name = strings.TrimSuffix(name, "}")
			if n.param == nil {
				n.param = &node{name: name}
			}
			if n.param.name != name || n.literals != nil {
				return nil, fmt.Errorf("the parameter %s meets something else", name)
			}
			n = n.param
			continue
		}
		if n.param != nil {
			return nil, fmt.Errorf("%q meets a parameter", segment)
		}
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		if n.literals[segment] == nil {
			n.literals[segment] = &node{}
		}
		n = n.literals[segment]
	}
	return n, nil
}

// answer adds a method to a path. Whoever can be read can be read without the
// body too.
func (n *node) answer(e *endpoint) {
	if n.methods == nil {
		n.methods = map[string]*endpoint{}
	}
	n.methods[e.operation.Method] = e
	if e.operation.Method == http.MethodGet {
		n.methods[http.MethodHead] = e
	}
	allowed := []string{http.MethodOptions}
	for method := range n.methods {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	n.allow = strings.Join(allowed, ", ")
}

// find returns the place of an escaped path and the values of its parameters;
// nil if there is no such path. Segments are unescaped one by one: an escaped
// slash is part of a value, and no value may have one.
func (r *router) find(escaped string) (*node, map[string]string) {
	n := r.root
	var params map[string]string
	for _, raw := range segments(escaped) {
		segment, err := url.PathUnescape(raw)
		if err != nil || segment == "" || strings.Contains(segment, "/") {
			return nil, nil
		}
		if next := n.literals[segment]; next != nil {
			n = next
			continue
		}
		if n = n.param; n == nil {
			return nil, nil
		}
		if params == nil {
			params = map[string]string{}
		}
		params[n.name] = segment
	}
	if n.methods == nil {
		return nil, nil
	}
	return n, params
}

// cutPrefix takes the prefix off an escaped path, if it is there. Several
// slashes in front, of what is left too, count as one: gateways that rewrite
// paths tend to leave them behind.
func (s *server) cutPrefix(escaped string) (path string, prefixed bool) {
	path = "/" + strings.TrimLeft(escaped, "/")
	rest, ok := strings.CutPrefix(path, s.prefix)
	if ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimLeft(rest, "/"), true
	}
	return path, false
}
