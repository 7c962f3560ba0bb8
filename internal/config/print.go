// SPDX-License-Identifier: MIT

package config

import (
	"bytes"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// WriteYAML writes the effective values of the settings that the command uses,
// in the form of the file. A comment after each says where it is from: default,
// file, env with the name of the variable, or flag. In place of secrets stands
// a text that [Config.Load] refuses.
func (c *Config) WriteYAML(w io.Writer) error {
	var out bytes.Buffer
	out.WriteString("# The effective configuration; after each value, where it is from.\n")
	if c.File != "" {
		fmt.Fprintf(&out, "# The file is %q (%s).\n", c.File, c.source(fileSetting))
	}
	rows := c.settings()
	for len(rows) > 0 {
		title := rows[0].group.title()
		section := &yaml.Node{Kind: yaml.MappingNode}
		for len(rows) > 0 && rows[0].group.title() == title {
			s := rows[0]
			rows = rows[1:]
			if s.name == fileSetting || !c.uses(s.group) {
				continue
			}
			value := s.value.node()
			value.LineComment = c.source(s.name)
			section.Content = append(section.Content, scalar(tagString, s.name), value)
		}
		if len(section.Content) == 0 {
			continue
		}
		text, err := yaml.Marshal(section)
		if err != nil {
			return fmt.Errorf("write the configuration as YAML: %w", err)
		}
		fmt.Fprintf(&out, "\n# %s\n%s", title, text)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}
