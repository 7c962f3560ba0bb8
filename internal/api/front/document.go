// SPDX-License-Identifier: MIT

package front

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// deref follows aliases.
func deref(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// member returns the value of a mapping's key, or nil.
func member(n *yaml.Node, key string) *yaml.Node {
	n = deref(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return deref(n.Content[i+1])
		}
	}
	return nil
}

// each calls f for the members of a mapping in their order.
func each(n *yaml.Node, f func(key string, value *yaml.Node) error) error {
	n = deref(n)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a mapping is expected", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := f(n.Content[i].Value, deref(n.Content[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// resolve follows a $ref to another part of the document. It returns the ref,
// or "" if the node is not one.
func resolve(root, n *yaml.Node) (*yaml.Node, string, error) {
	ref := member(n, "$ref")
	if ref == nil {
		return deref(n), "", nil
	}
	rest, ok := strings.CutPrefix(ref.Value, "#/")
	if !ok {
		return nil, "", fmt.Errorf("line %d: only references within the document are supported", ref.Line)
	}
	at := root
	for part := range strings.SplitSeq(rest, "/") {
		if at = member(at, part); at == nil {
			return nil, "", fmt.Errorf("line %d: there is no %s", ref.Line, ref.Value)
		}
	}
	if member(at, "$ref") != nil {
		return nil, "", fmt.Errorf("line %d: %s is itself a reference", ref.Line, ref.Value)
	}
	return at, ref.Value, nil
}

// appendJSON writes a YAML node as JSON, members in their order.
func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	n = deref(n)
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendText(dst, n.Content[i].Value); err != nil {
				return nil, err
			}
			if dst, err = appendJSON(append(dst, ':'), n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, item); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.ScalarNode:
		return appendScalar(dst, n)
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return nil, fmt.Errorf("line %d: this has no form in JSON", n.Line)
}

func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch tag := n.ShortTag(); tag {
	case "!!str":
		return appendText(dst, n.Value)
	case "!!null":
		return append(dst, "null"...), nil
	case "!!bool":
		return strconv.AppendBool(dst, strings.EqualFold(n.Value, "true")), nil
	case "!!int", "!!float":
		if !json.Valid([]byte(n.Value)) {
			return nil, fmt.Errorf("line %d: %s is no number in JSON", n.Line, n.Value)
		}
		return append(dst, n.Value...), nil
	default:
		return nil, fmt.Errorf("line %d: a %s has no form in JSON", n.Line, tag)
	}
}

func appendText(dst []byte, text string) ([]byte, error) {
	quoted, err := json.Marshal(text)
	return append(dst, quoted...), err
}
