// SPDX-License-Identifier: MIT

package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bos/internal/manual"
)

//go:generate go run bos/cmd/bosd man --markdown ../../docs/bosd.md

// referenceHead is what the reference begins with.
const referenceHead = `# Server command line reference

The commands and settings of bosd, as ` + "`bosd --help`" + ` and the man pages have them. A flag
with a name in parentheses is a setting: it can as well be set in the environment, by that
name, or in a YAML file (` + "`--config`" + `) under the flag's name; in the Helm chart it is a key
of ` + "`config`" + `, unless a value of its own is about it. This
page is generated from the commands by ` + "`go generate ./cmd/bosd`" + `; a test keeps it fresh.

`

func (p *program) man() *cobra.Command {
	return manual.Command("bosd", referenceHead, p.getenv, time.Now, usage)
}

// getenv returns a variable of the environment that the command was started in.
func (p *program) getenv(name string) string {
	for _, pair := range p.environ {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}
