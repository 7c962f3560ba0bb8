// SPDX-License-Identifier: MIT

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file in bytes.
const maxFile = 1 << 20

// entry is one key of the file.
type entry struct {
	key  string
	line int
	// text is the value; the items of a list are joined by commas. null says
	// that there is none.
	text string
	list bool
	null bool
	// err says why the value can't be read.
	err error
}

// fromFile takes settings from a file.
func (l *loader) fromFile(path string) {
	data, err := readFile(path, maxFile)
	if err != nil {
		l.faults = append(l.faults, fmt.Errorf("%s: read the file: %w", fileSetting, err))
		return
	}
	entries, faults := parseFile(data)
	for _, fault := range faults {
		l.faults = append(l.faults, fmt.Errorf("%s: %w", path, fault))
	}
	for _, e := range entries {
		where := fmt.Sprintf("%s, line %d", path, e.line)
		if err := l.fromEntry(e, where); err != nil {
			l.faults = append(l.faults, err)
		}
	}
}

// fromEntry takes a setting from one key of the file.
func (l *loader) fromEntry(e entry, where string) error {
	var row *setting
	var names []string
	for _, s := range l.rows {
		if s.name == fileSetting {
			continue
		}
		if s.name == e.key {
			row = s
		}
		names = append(names, s.name)
	}
	switch {
	case row == nil:
		return fmt.Errorf("%.100q is no setting%s (%s)", e.key, meant(e.key, names), where)
	case e.err != nil:
		return fmt.Errorf("%s: %w (%s)", e.key, e.err, where)
	case e.null:
		return nil
	case row.isSecret() && e.text == hidden:
		return fmt.Errorf("%s: this is what is shown in place of the secret, not the secret (%s)", e.key, where)
	}
	if _, takesList := row.value.(list); e.list && !takesList {
		return fmt.Errorf("%s: it has one value, not a list (%s)", e.key, where)
	}
	l.set(row, e.text, "file", where)
	return nil
}

// parseFile reads the keys of a file: one YAML document, a mapping of texts to
// scalars and lists of scalars, or nothing. Errors name the line.
func parseFile(data []byte) (entries []entry, faults []error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, []error{fmt.Errorf("it is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		faults = append(faults, errors.New("it must hold one YAML document only"))
	}
	if len(doc.Content) == 0 {
		return nil, faults
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == tagNull {
		return nil, faults
	}
	if root.Kind != yaml.MappingNode {
		return nil, append(faults, fmt.Errorf("line %d: it must hold names of settings and their values", root.Line))
	}
	first := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := resolve(root.Content[i]), resolve(root.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			faults = append(faults, fmt.Errorf("line %d: a name must be a text", key.Line))
			continue
		}
		if line, twice := first[key.Value]; twice {
			faults = append(faults, fmt.Errorf("line %d: %.100q was set before, in line %d", key.Line, key.Value, line))
			continue
		}
		first[key.Value] = key.Line
		entries = append(entries, readEntry(key, value))
	}
	return entries, faults
}

// resolve follows an alias; an anchor is never an alias itself.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func readEntry(key, value *yaml.Node) entry {
	e := entry{key: key.Value, line: key.Line}
	switch value.Kind {
	case yaml.ScalarNode:
		e.text, e.null, e.err = value.Value, value.Tag == tagNull, checkTag(value)
	case yaml.SequenceNode:
		e.list = true
		e.text, e.err = readList(value)
	case yaml.MappingNode, yaml.DocumentNode, yaml.AliasNode:
		e.err = errors.New("it must be a value or a list of values")
	}
	return e
}

// readList joins the items of a list by commas.
func readList(n *yaml.Node) (string, error) {
	var items []string
	for _, item := range n.Content {
		if item = resolve(item); item.Kind != yaml.ScalarNode || item.Tag == tagNull {
			return "", errors.New("the items of the list must be values")
		}
		if err := checkTag(item); err != nil {
			return "", err
		}
		items = append(items, item.Value)
	}
	return strings.Join(items, ","), nil
}

// checkTag refuses values that are not what they look like.
func checkTag(n *yaml.Node) error {
	switch n.Tag {
	case tagString, tagNull, "!!int", "!!float", "!!bool", "!!timestamp":
		return nil
	}
	return fmt.Errorf("values of the type %.100q are not taken", n.Tag)
}
