// SPDX-License-Identifier: MIT

package cli

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// boolean is a flag that is a truth value. It may stand alone (--enabled), and
// be followed by its value in either way (--enabled=false, --enabled False),
// as with the cray CLI.
type boolean bool

// Set takes the words that the cray CLI takes.
func (b *boolean) Set(s string) error {
	switch strings.ToLower(s) {
	case "true", "t", "yes", "y", "on", "1":
		*b = true
	case "false", "f", "no", "n", "off", "0":
		*b = false
	default:
		return errors.New("must be true or false")
	}
	return nil
}

// String returns true or false.
func (b *boolean) String() string { return strconv.FormatBool(bool(*b)) }

// Type makes the help show the flag without a value.
func (b *boolean) Type() string { return "bool" }

// booleanVar defines a flag that is a truth value.
func (a *app) booleanVar(flags *pflag.FlagSet, b *boolean, name, usage string) {
	flags.Var(b, name, usage)
	flags.Lookup(name).NoOptDefVal = "true"
	// False is what flags are without a word, and not worth mentioning.
	flags.Lookup(name).DefValue = ""
	a.booleans[name] = true
}

// arguments rewrites the arguments as cobra needs them: without the word v2
// that the cray CLI has before the commands, and with the values of truth
// value flags joined to them.
func (a *app) arguments(root *cobra.Command, args []string) []string {
	return dropV2(root.PersistentFlags(), a.joinBooleans(args))
}

// dropV2 removes the first word that is no flag if it is v2. It changes args.
func dropV2(flags *pflag.FlagSet, args []string) []string {
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		switch {
		case args[i] == cobra.ShellCompRequestCmd, args[i] == cobra.ShellCompNoDescRequestCmd, args[i] == "help":
		case args[i] == "--":
			return args
		case isFlag:
			if flag := flags.Lookup(name); flag != nil && flag.NoOptDefVal == "" {
				i++
			}
		case strings.HasPrefix(args[i], "-") && args[i] != "-":
		case args[i] == "v2":
			return slices.Delete(args, i, i+1)
		default:
			return args
		}
	}
	return args
}

// joinBooleans makes --enabled=false of --enabled false, since a flag that may
// stand alone would leave the word behind.
func (a *app) joinBooleans(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		if isFlag && a.booleans[name] && i+1 < len(args) &&
			(strings.EqualFold(args[i+1], "true") || strings.EqualFold(args[i+1], "false")) {
			out = append(out, args[i]+"="+args[i+1])
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}
