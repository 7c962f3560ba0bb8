// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxYAML bounds the values of a YAML document, whose aliases can make a short
// text stand for a huge one.
const maxYAML = 1 << 20

// writeYAML writes one value.
func writeYAML(w io.Writer, t *tree) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(yamlNode(t)); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	return enc.Close()
}

// writeYAMLItem writes one item of a list; all of them are one list.
func writeYAMLItem(w io.Writer, t *tree) error {
	return writeYAML(w, &tree{kind: kindArray, items: []*tree{t}})
}

func yamlNode(t *tree) *yaml.Node {
	switch t.kind {
	case kindNull:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case kindBool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: t.text}
	case kindNumber:
		tag := "!!int"
		if strings.ContainsAny(t.text, ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.text}
	case kindString:
		return yamlString(t.text)
	case kindArray, kindObject:
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	if t.kind == kindObject {
		n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	for i, one := range t.items {
		if t.kind == kindObject {
			n.Content = append(n.Content, yamlString(t.keys[i]))
		}
		n.Content = append(n.Content, yamlNode(one))
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// yamlString writes a text, in quotes wherever some reader of YAML could take it
// for something else: times, durations and words such as yes are texts here.
func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return n
	}
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '/' || r == '_'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789-.,:=+@() ", r)) {
			return n
		}
	}
	if !strings.Contains(s+" ", ": ") && !strings.HasSuffix(s, " ") {
		n.Style = 0
	}
	return n
}

// parseYAML reads one YAML document as the JSON value that it stands for.
func parseYAML(data []byte) (*tree, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, errors.New(yamlText(err))
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("there is nothing in it")
	}
	r := yamlReader{left: maxYAML}
	return r.tree(doc.Content[0], 0)
}

// yamlReader turns YAML into trees.
type yamlReader struct {
	// left is how many more values there may be.
	left int
}

func (r *yamlReader) tree(n *yaml.Node, depth int) (*tree, error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, fmt.Errorf("line %d: too many values, or nested too deep", n.Line)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.tree(n.Alias, depth+1)
	case yaml.ScalarNode:
		return yamlScalar(n)
	case yaml.SequenceNode:
		t := &tree{kind: kindArray}
		for _, one := range n.Content {
			value, err := r.tree(one, depth+1)
			if err != nil {
				return nil, err
			}
			t.items = append(t.items, value)
		}
		return t, nil
	case yaml.MappingNode:
		t := objectTree()
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: a name must be a text", key.Line)
			}
			value, err := r.tree(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			t.put(key.Value, value)
		}
		return t, nil
	case yaml.DocumentNode:
	}
	return nil, fmt.Errorf("line %d: not a value", n.Line)
}

func yamlScalar(n *yaml.Node) (*tree, error) {
	switch n.ShortTag() {
	case "!!null":
		return &tree{kind: kindNull}, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, fmt.Errorf("line %d: %q is not a truth value", n.Line, n.Value)
		}
		return boolTree(b), nil
	case "!!int", "!!float":
		// Numbers that JSON doesn't have, such as 0x10, stay texts, which the
		// server refuses by name.
		if json.Valid([]byte(n.Value)) {
			return numberTree(n.Value), nil
		}
	}
	return stringTree(n.Value), nil
}
