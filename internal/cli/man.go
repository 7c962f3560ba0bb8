// SPDX-License-Identifier: MIT

package cli

import (
	"bos/internal/manual"

	"github.com/spf13/cobra"
)

//go:generate go run bos/cmd/bos man --markdown ../../docs/cli.md

// referenceHead is what the reference begins with.
const referenceHead = `# Command line reference

The commands and flags of bos, as ` + "`bos --help`" + ` and the man pages have them. This page is
generated from the commands by ` + "`go generate ./internal/cli`" + `; a test keeps it fresh.

`

func (a *app) manCommand() *cobra.Command {
	cmd := manual.Command("bos", referenceHead, a.sys.Getenv, a.sys.Now, misused)
	cmd.RunE = run(cmd.RunE)
	return cmd
}
