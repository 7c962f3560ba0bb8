// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bos/internal/client"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completionTime is how long the shell may wait for names from the server, and
// completions how many nodes it gets.
const (
	completionTime = 2 * time.Second
	completions    = 100
)

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// complete says how the values of a flag are completed.
func complete(cmd *cobra.Command, flag string, how completion) {
	if err := cmd.RegisterFlagCompletionFunc(flag, how); err != nil {
		// There is no such flag, which every run would show.
		panic(err)
	}
}

// words completes fixed words.
func words(all ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// filesOnlyFor keeps the shell from offering files for flags that take none.
func filesOnlyFor(cmd *cobra.Command, files ...string) {
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if _, known := cmd.GetFlagCompletionFunc(flag.Name); !known && !slices.Contains(files, flag.Name) {
			complete(cmd, flag.Name, nothing)
		}
	})
	for _, inner := range cmd.Commands() {
		filesOnlyFor(inner, files...)
	}
}

// nothing completes nothing, where files would be offered otherwise.
func nothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// first completes the first argument only.
func first(how completion) completion {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nothing(cmd, args, begun)
		}
		return how(cmd, args, begun)
	}
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	// Who completes can't be told about a broken file.
	file, err := a.settings()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.Sorted(maps.Keys(file.Contexts)), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeConfigurations(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	// A folder that is not there has no configurations.
	files, _ := os.ReadDir(filepath.Join(a.crayDir(), "configurations"))
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeSessions(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.names(cmd, begun, func(ctx context.Context, bos *client.Client) (*client.Stream, error) {
		return bos.Sessions(ctx, nil)
	})
}

func (a *app) completeTemplates(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.names(cmd, begun, func(ctx context.Context, bos *client.Client) (*client.Stream, error) {
		return bos.Templates(ctx)
	})
}

// completeNode completes one node.
func (a *app) completeNode(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.names(cmd, begun, func(ctx context.Context, bos *client.Client) (*client.Stream, error) {
		return bos.ComponentsAfter(ctx, before(begun), completions)
	})
}

// completeNodes completes the last node of a list. In brackets there is nothing
// to complete.
func (a *app) completeNodes(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	last := strings.LastIndexAny(begun, ",&!") + 1
	if strings.ContainsAny(begun[last:], "[]") {
		return nothing(cmd, args, begun)
	}
	nodes, directive := a.completeNode(cmd, args, begun[last:])
	for i := range nodes {
		nodes[i] = begun[:last] + nodes[i]
	}
	// More nodes may follow after a comma.
	return nodes, directive | cobra.ShellCompDirectiveNoSpace
}

// before returns a text that comes before all that begin with prefix, and after
// most that do not, so that a fleet's list need not be fetched to find a few.
func before(prefix string) string {
	if prefix == "" || prefix[len(prefix)-1] <= '!' || prefix[len(prefix)-1] > '~' {
		return ""
	}
	return prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]-1) + "~~~~"
}

// names asks the server for things that have names, and returns those that
// begin with a text. Errors complete nothing.
func (a *app) names(
	cmd *cobra.Command, begun string, ask func(context.Context, *client.Client) (*client.Stream, error),
) ([]string, cobra.ShellCompDirective) {
	bos, err := a.client(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	list, err := ask(ctx, bos)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for one, err := range client.Each[struct {
		Name string `json:"name"`
		ID   string `json:"id"`
	}](list) {
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		if name := one.Name + one.ID; strings.HasPrefix(name, begun) && name != "" {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
