// SPDX-License-Identifier: MIT

package config

import (
	"os"
	"strings"
	"testing"
)

// What protects the service is documented: each setting of it by its name.
func TestSecurityIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Default().settings() {
		protects := s.group == GroupAuth || s.group == GroupLimits || s.group == GroupAudit ||
			s.group == GroupHTTP && s.name != "shutdown-timeout"
		if protects && !strings.Contains(string(text), "--"+s.name) {
			t.Errorf("--%s is not in docs/SECURITY.md", s.name)
		}
	}
}
