// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"bos/internal/version"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

//go:generate go run bos/cmd/bos man --markdown ../../docs/cli.md

// referenceHead is what the reference begins with.
const referenceHead = `# Command line reference

The commands and flags of bos, as ` + "`bos --help`" + ` and the man pages have them. This page is
generated from the commands by ` + "`go generate ./internal/cli`" + `; a test keeps it fresh.

`

// manDate is the date of the man pages, which are the same in every build.
func (a *app) manDate() (time.Time, error) {
	text := a.sys.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return a.sys.Now().UTC(), nil
	}
	at, err := time.ParseDuration(text + "s")
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %q", text)
	}
	return time.Unix(0, 0).UTC().Add(at), nil
}

func (a *app) manCommand() *cobra.Command {
	var markdown string
	cmd := &cobra.Command{
		Use:   "man DIR",
		Short: "Write man pages of all commands into a folder",
		Long: `Write a man page of each command into a folder, which is made if there is none. Their date
is today's, or that of SOURCE_DATE_EPOCH. --markdown writes one page with all commands.`,
		Example: "  bos man /usr/local/share/man/man1\n  bos man --markdown cli.md",
		Args:    cobra.MaximumNArgs(1),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			if (markdown == "") == (len(args) == 0) {
				return misused(errors.New("say where to write: DIR or --markdown FILE"))
			}
			if markdown != "" {
				return os.WriteFile(markdown, reference(cmd.Root()), 0o644) //nolint:gosec // everyone may read it
			}
			return a.writeManPages(cmd.Root(), args[0])
		}),
	}
	cmd.Flags().StringVar(&markdown, "markdown", "", "file to write one page in Markdown to")
	return cmd
}

func (a *app) writeManPages(root *cobra.Command, dir string) error {
	date, err := a.manDate()
	if err != nil {
		return misused(err)
	}
	//nolint:gosec // everyone may read them
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the man pages: %w", err)
	}
	visit(root, func(cmd *cobra.Command) {
		cmd.Long = escapeProse(cmd.Long)
		cmd.DisableAutoGenTag = true
	})
	err = doc.GenManTree(root, &doc.GenManHeader{
		Section: "1", Date: &date, Source: "bos " + version.String(), Manual: "Boot Orchestration Service",
	}, dir)
	if err != nil {
		return fmt.Errorf("writing the man pages: %w", err)
	}
	return nil
}

// visit calls a function with each command that people see, parents first.
func visit(cmd *cobra.Command, each func(*cobra.Command)) {
	each(cmd)
	for _, inner := range cmd.Commands() {
		if inner.IsAvailableCommand() {
			visit(inner, each)
		}
	}
}

// escapeProse makes help that is written for a terminal Markdown: what is
// indented stays as it is, and nothing else is taken for markup.
func escapeProse(text string) string {
	var out []string
	code := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "  "):
			line = "  " + line
			code = true
		case line == "" && code:
		default:
			line = strings.NewReplacer("*", `\*`, "_", `\_`, "[", `\[`, "<", `\<`, "`", "\\`").Replace(line)
			code = false
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// reference returns the page with all commands in Markdown.
func reference(root *cobra.Command) []byte {
	// What is added when a command runs is there in any case.
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	var b bytes.Buffer
	b.WriteString(referenceHead)
	visit(root, func(cmd *cobra.Command) {
		level := "##"
		if cmd.HasParent() && cmd.Parent().HasParent() {
			level = "###"
		}
		fmt.Fprintf(&b, "%s %s\n\n%s.\n\n", level, cmd.CommandPath(), cmd.Short)
		if cmd.Long != "" {
			block(&b, cmd.Long)
		}
		if cmd.Runnable() {
			block(&b, cmd.UseLine())
		}
		if cmd.Example != "" {
			b.WriteString("For example:\n\n")
			block(&b, cmd.Example)
		}
		flags := cmd.NonInheritedFlags()
		flags.VisitAll(func(flag *pflag.Flag) {
			if flag.Name == "help" {
				flag.Hidden = true
			}
		})
		if usages := flags.FlagUsages(); usages != "" {
			b.WriteString("Flags:\n\n")
			if !cmd.HasParent() {
				b.Truncate(b.Len() - len("Flags:\n\n"))
				b.WriteString("Flags of every command:\n\n")
			}
			block(&b, usages)
		}
	})
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

// block writes a text as it is on a terminal.
func block(b *bytes.Buffer, text string) {
	fmt.Fprintf(b, "```text\n%s\n```\n\n", strings.TrimRight(text, "\n"))
}
