// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"bos/internal/client"
)

// format is how answers are shown.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
	formatTOML  format = "toml"
)

// chooseFormat returns the format that is asked for, or the one that suits the
// output.
func (a *app) chooseFormat() (format, error) {
	asked := a.flags.format
	if asked == "" {
		asked = a.sys.Getenv("BOS_FORMAT")
	}
	if asked == "" && !a.sys.Terminal {
		asked = a.sys.Getenv("CRAY_FORMAT")
	}
	a.asked = asked != ""
	switch f := format(asked); f {
	case formatTable, formatJSON, formatYAML, formatTOML:
		return f, nil
	case "":
		if a.sys.Terminal {
			return formatTable, nil
		}
		return formatJSON, nil
	}
	return "", fmt.Errorf("there is no format %q; there are table, json, yaml and toml", asked)
}

// screen is what tables are drawn on.
type screen struct {
	out io.Writer
	// width is how many columns there are; 0 for as many as needed.
	width  int
	colour bool
	now    time.Time
}

func (a *app) screen() *screen {
	return &screen{
		out: a.out, width: a.sys.Width, now: a.sys.Now().UTC(),
		colour: a.sys.Terminal && a.sys.Getenv("NO_COLOR") == "" && a.sys.Getenv("TERM") != "dumb",
	}
}

// show shows one document. table draws it as a table.
func (a *app) show(raw json.RawMessage, table func(*screen, json.RawMessage) error) error {
	switch a.format {
	case formatTable:
		return table(a.screen(), raw)
	case formatJSON:
		in := newIndenter(a.out)
		if _, err := in.Write(raw); err != nil {
			return err
		}
		return in.Close()
	case formatYAML, formatTOML:
	}
	t, err := parseJSON(raw)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if a.format == formatYAML {
		return writeYAML(a.out, t)
	}
	return writeTOML(a.out, t)
}

// showList shows a list item by item as it arrives. table draws it as a table.
func (a *app) showList(list *client.Stream, table func(*screen, *client.Stream) error) error {
	defer list.Close()
	var one func(io.Writer, *tree) error
	none := ""
	switch a.format {
	case formatTable:
		return table(a.screen(), list)
	case formatJSON:
		in := newIndenter(a.out)
		if _, err := io.Copy(in, list); err != nil {
			return err
		}
		return in.Close()
	case formatYAML:
		one, none = writeYAMLItem, "[]\n"
	case formatTOML:
		one, none = writeTOMLItem, tomlResults+" = []\n"
	}
	items := 0
	for raw, err := range client.Each[json.RawMessage](list) {
		if err != nil {
			return err
		}
		t, err := parseJSON(raw)
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if err := one(a.out, t); err != nil {
			return err
		}
		items++
	}
	if items == 0 {
		_, err := io.WriteString(a.out, none)
		return err
	}
	return nil
}

// say tells what was done, to people only: an answer without a body is nothing
// for a program to read.
func (a *app) say(format string, args ...any) error {
	if a.format != formatTable {
		return nil
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

// errTableOnly refuses what only tables can show.
var errTableOnly = errors.New("--fold is for tables; use it with --format table")
