// SPDX-License-Identifier: MIT

package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
)

// write makes a file and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bound makes a configuration for groups, all of them if none is named, and
// parses arguments.
func bound(t testing.TB, args []string, groups ...Group) *Config {
	t.Helper()
	c := Default()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	if len(groups) == 0 {
		groups = Groups()
	}
	c.Bind(fs, groups...)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c
}

// values returns all values as texts, by name; the secrets as they are.
func values(c *Config) map[string]string {
	out := map[string]string{}
	for _, s := range c.settings() {
		out[s.name] = s.value.String()
		if p, ok := s.value.(cell[Secret]); ok {
			out[s.name] = string(*p.p)
		}
	}
	return out
}
