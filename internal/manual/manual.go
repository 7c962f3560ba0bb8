// SPDX-License-Identifier: MIT

// Package manual writes what is to be read about a program from its commands: man
// pages, and a page in Markdown.
package manual

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

// Date returns the date of man pages: that of SOURCE_DATE_EPOCH, seconds since
// 1970, so that they are the same in every build; now if it is "".
func Date(epoch string, now time.Time) (time.Time, error) {
	if epoch == "" {
		return now.UTC(), nil
	}
	at, err := time.ParseDuration(epoch + "s")
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is not a number of seconds: %q", epoch)
	}
	return time.Unix(0, 0).UTC().Add(at), nil
}

// Pages writes a man page of each command that people see into a folder, which is
// made if there is none. The commands are of no use afterwards.
func Pages(root *cobra.Command, dir string, date time.Time) error {
	//nolint:gosec // everyone may read them
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the man pages: %w", err)
	}
	Visit(root, func(cmd *cobra.Command) {
		cmd.Long = escapeProse(cmd.Long)
		cmd.DisableAutoGenTag = true
		cmd.NonInheritedFlags().VisitAll(escapeFlag)
	})
	err := doc.GenManTree(root, &doc.GenManHeader{
		Section: "1", Date: &date, Source: root.Name() + " " + version.String(), Manual: "Boot Orchestration Service",
	}, dir)
	if err != nil {
		return fmt.Errorf("writing the man pages: %w", err)
	}
	return nil
}

// Command returns a command of the program with a root that writes what is to be
// read about it. getenv and now say what the environment and the clock do; misused
// marks an error as a fault of the one who started it.
func Command(program, head string, getenv func(string) string, now func() time.Time, misused func(error) error) *cobra.Command {
	var markdown string
	cmd := &cobra.Command{
		Use:   "man DIR",
		Short: "Write man pages of all commands into a folder",
		Long: `Write a man page of each command into a folder, which is made if there is none. Their date
is today's, or that of SOURCE_DATE_EPOCH. --markdown writes one page with all commands.`,
		Example: "  " + program + " man /usr/local/share/man/man1\n  " + program + " man --markdown FILE.md",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (markdown == "") == (len(args) == 0) {
				return misused(errors.New("say where to write: DIR or --markdown FILE"))
			}
			if markdown != "" {
				return os.WriteFile(markdown, Reference(cmd.Root(), head), 0o644) //nolint:gosec // everyone may read it
			}
			date, err := Date(getenv("SOURCE_DATE_EPOCH"), now())
			if err != nil {
				return misused(err)
			}
			return Pages(cmd.Root(), args[0], date)
		},
	}
	cmd.Flags().StringVar(&markdown, "markdown", "", "file to write one page in Markdown to")
	return cmd
}

// Visit calls a function with each command that people see, parents first.
func Visit(cmd *cobra.Command, each func(*cobra.Command)) {
	each(cmd)
	for _, inner := range cmd.Commands() {
		if inner.IsAvailableCommand() {
			Visit(inner, each)
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
			line = escapeLine(line)
			code = false
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// escapeLine keeps a text from being taken for markup.
func escapeLine(text string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "[", `\[`, "<", `\<`, "`", "\\`").Replace(text)
}

// escapeFlag makes what is said of a flag Markdown; the placeholder of its value
// is part of the sentence.
func escapeFlag(flag *pflag.Flag) {
	_, usage := pflag.UnquoteUsage(flag)
	flag.Usage = escapeLine(usage)
	if flag.Value.Type() != "string" {
		// Texts are quoted, and an escape would be too.
		flag.DefValue = escapeLine(flag.DefValue)
	}
}

// Reference returns a page with all commands of a program in Markdown, behind a
// head of its own.
func Reference(root *cobra.Command, head string) []byte {
	// What is added when a command runs is there in any case.
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	var b bytes.Buffer
	b.WriteString(head)
	Visit(root, func(cmd *cobra.Command) {
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
