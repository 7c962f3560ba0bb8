// SPDX-License-Identifier: MIT

// Package cli is the program bos: the BOS API on a command line, with the
// verbs and flags of the cray CLI, so that habits and scripts carry over.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"bos/internal/client"

	"golang.org/x/term"
)

// What the program exits with.
const (
	// exitOK is for what was done.
	exitOK = 0
	// exitUsage is for what was not asked for rightly, and for a server that
	// can't be reached.
	exitUsage = 1
	// exitProblem is for what the server refused.
	exitProblem = 2
)

// System is what the program has of the system it runs on.
type System struct {
	// Args are the arguments without the program's name.
	Args []string
	// Stdin, Stdout and Stderr are the standard streams.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads an environment variable.
	Getenv func(string) string
	// Now tells the time.
	Now func() time.Time
	// Terminal says that Stdout is a terminal, which is Width columns wide;
	// with 0 tables are as wide as they are.
	Terminal bool
	Width    int
	// Size tells how large the terminal is now, if it can be told; it may be
	// nil.
	Size func() (width, height int)
	// Interactive says that someone can be asked on Stdin.
	Interactive bool
	// Transport carries requests in place of connections, for tests.
	Transport http.RoundTripper
}

// OS is the system that the process runs on.
func OS() System {
	s := System{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Now: time.Now,
	}
	fd := int(os.Stdout.Fd())
	if s.Terminal = term.IsTerminal(fd); s.Terminal {
		// Without a known size lines are not cut.
		s.Size = func() (int, int) {
			width, height, _ := term.GetSize(fd)
			return width, height
		}
		s.Width, _ = s.Size()
	}
	s.Interactive = term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
	return s
}

// Main runs the program and returns its exit status.
func Main(ctx context.Context, sys System) int {
	out := bufio.NewWriterSize(sys.Stdout, 64<<10)
	a := &app{sys: sys, out: out, booleans: map[string]bool{}}
	root := a.root()
	root.SetArgs(a.arguments(root, sys.Args))
	err := root.ExecuteContext(ctx)
	// What was written before an error is shown, so that nothing is lost.
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("writing: %w", flushed)
	}
	return a.report(err)
}

// report tells the user about an error and returns the exit status.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	var said *exitStatus
	if errors.As(err, &said) {
		return said.status
	}
	fmt.Fprintf(a.sys.Stderr, "bos: %s\n", message(err))
	var problem *client.Problem
	var unreachable *client.ConnectionError
	var usage *usageError
	switch {
	case errors.As(err, &problem):
		if problem.Status == http.StatusUnauthorized && a.connection.crayToken {
			fmt.Fprintf(a.sys.Stderr, "The token is that in %s; 'cray auth login' renews it.\n", a.connection.TokenFile)
		}
		return exitProblem
	case errors.As(err, &unreachable):
		if a.connection.urlFrom != "" {
			fmt.Fprintf(a.sys.Stderr, "The address is %s.\n", a.connection.urlFrom)
		}
	case errors.As(err, &usage):
		fmt.Fprintf(a.sys.Stderr, "See '%s --help'.\n", usage.command)
	}
	return exitUsage
}

// message is what is shown of an error.
func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return strings.TrimSpace(err.Error())
}

// usageError is an error of who typed the command.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// app is one run of the program.
type app struct {
	sys System
	out *bufio.Writer
	// booleans are the names of the flags that are a truth value.
	booleans map[string]bool
	flags    globalFlags
	format   format
	// asked says that the format was asked for, and not chosen.
	asked bool
	// tokenCommand prints the token to send, where there is no file with it.
	tokenCommand []string
	// connection is how the server is reached, once that was asked for.
	connection connection
	bos        *client.Client
}
