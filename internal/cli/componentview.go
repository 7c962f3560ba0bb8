// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"bos/internal/api/apitypes"
	"bos/internal/client"
	"bos/internal/xname"
)

// situation is what is listed of a component.
type situation struct {
	status, phase, enabled, session, configuration, err string
}

func situationOf(c *apitypes.Component) situation {
	enabled := ""
	if c.Enabled != nil {
		enabled = yesNo(*c.Enabled)
	}
	return situation{
		status: val(val(c.Status).Status), phase: string(val(val(c.Status).Phase)), enabled: enabled,
		session: val(c.Session), configuration: val(val(c.DesiredState).Configuration), err: val(c.Error),
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func situationColumns() []column {
	return []column{
		{title: "STATUS"}, {title: "PHASE", drop: 1}, {title: "ENABLED"}, {title: "SESSION", min: 10},
		{title: "CONFIGURATION", min: 13}, {title: "ERROR", below: true},
	}
}

func (s situation) cells() []cell {
	return []cell{
		{s.status, statusStyle(s.status)}, {text: s.phase}, {text: s.enabled}, {text: s.session},
		{text: s.configuration}, {s.err, bad},
	}
}

// statusStyle is how a component's status is shown. One that nobody knows was
// set by hand.
func statusStyle(status string) style {
	switch status {
	case "stable":
		return good
	case "failed":
		return bad
	case "on_hold":
		return held
	case "":
		return plain
	}
	return busy
}

// componentsView lists components, one on a line.
func componentsView(s *screen, list *client.Stream) error {
	t := table{columns: append([]column{{title: "ID"}}, situationColumns()...)}
	for one, err := range client.Each[apitypes.Component](list) {
		if err != nil {
			return err
		}
		t.row(append([]cell{{text: one.ID}}, situationOf(&one).cells()...)...)
	}
	return t.write(s)
}

// foldedView lists components with all that are in the same situation on one
// line.
func foldedView(s *screen, list *client.Stream) error {
	nodes := map[situation][]string{}
	var order []situation
	for one, err := range client.Each[apitypes.Component](list) {
		if err != nil {
			return err
		}
		where := situationOf(&one)
		if len(nodes[where]) == 0 {
			order = append(order, where)
		}
		nodes[where] = append(nodes[where], one.ID)
	}
	t := table{columns: append([]column{
		{title: "COUNT", right: true}, {title: "NODES", min: 20, wrap: true},
	}, situationColumns()...)}
	for _, where := range order {
		t.row(append([]cell{
			{text: strconv.Itoa(len(nodes[where]))}, {text: xname.Fold(nodes[where])},
		}, where.cells()...)...)
	}
	return t.write(s)
}

// updatedView says which components were changed.
func updatedView(s *screen, list *client.Stream) error {
	var ids []string
	for one, err := range client.Each[apitypes.Component](list) {
		if err != nil {
			return err
		}
		ids = append(ids, one.ID)
	}
	text := "No components were changed.\n"
	switch len(ids) {
	case 0:
	case 1:
		text = "The component " + clean(ids[0]) + " was changed.\n"
	default:
		text = fmt.Sprintf("%d components were changed: %s\n", len(ids), clean(xname.Fold(ids)))
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// componentsInFull shows components one after the other.
func componentsInFull(s *screen, list *client.Stream) error {
	gap := ""
	for raw, err := range client.Each[json.RawMessage](list) {
		if err != nil {
			return err
		}
		if _, err := io.WriteString(s.out, gap); err != nil {
			return err
		}
		gap = "\n"
		if err := componentView(s, raw); err != nil {
			return err
		}
	}
	return nil
}

// componentView shows one component.
func componentView(s *screen, raw json.RawMessage) error {
	c, err := client.Decode[apitypes.Component](raw)
	if err != nil {
		return err
	}
	where := situationOf(&c)
	var f fields
	f.add("ID", c.ID)
	// The answer to a write does not have the computed status.
	if where.status != "" {
		f.styled("Status", where.status, statusStyle(where.status))
	}
	f.add("Phase", where.phase)
	f.some("Status override", val(val(c.Status).StatusOverride))
	f.add("Enabled", where.enabled)
	f.add("Session", where.session)
	if c.RetryPolicy != nil {
		f.add("Retry policy", strconv.Itoa(*c.RetryPolicy))
	}
	f.styled("Error", where.err, bad)
	if last := c.LastAction; last != nil && val(last.Action) != "" {
		text := string(*last.Action)
		if val(last.Failed) {
			text += ", failed"
		}
		f.add("Last action", text+s.since(val(last.LastUpdated)))
	}
	if e := c.EventStats; e != nil {
		f.add("Attempts", fmt.Sprintf("%d power on, %d graceful off, %d forceful off", val(e.PowerOnAttempts),
			val(e.PowerOffGracefulAttempts), val(e.PowerOffForcefulAttempts)))
	}
	actual, desired, staged := val(c.ActualState), val(c.DesiredState), val(c.StagedState)
	f.state(s, "Actual state", val(actual.LastUpdated), val(actual.BootArtifacts), []field{
		{name: "BSS token", value: cell{text: val(actual.BssToken)}},
	})
	f.state(s, "Desired state", val(desired.LastUpdated), val(desired.BootArtifacts), []field{
		{name: "Configuration", value: cell{text: val(desired.Configuration)}},
		{name: "BSS token", value: cell{text: val(desired.BssToken)}},
	})
	f.state(s, "Staged state", val(staged.LastUpdated), val(staged.BootArtifacts), []field{
		{name: "Session", value: cell{text: val(staged.Session)}},
		{name: "Configuration", value: cell{text: val(staged.Configuration)}},
	})
	return f.write(s)
}

// state appends what a state has, or that it is empty.
func (f *fields) state(s *screen, name, updated string, b apitypes.BootArtifacts, more []field) {
	var inner fields
	for _, one := range more {
		inner.some("  "+one.name, one.value.text)
	}
	inner.some("  Kernel", val(b.Kernel))
	inner.some("  Initrd", val(b.Initrd))
	inner.some("  Parameters", val(b.KernelParameters))
	if len(inner.lines) == 0 {
		f.add(name, "empty"+s.since(updated))
		return
	}
	f.title(name + s.since(updated))
	f.lines = append(f.lines, inner.lines...)
}

// since says when something was, after a comma; nothing for never.
func (s *screen) since(at string) string {
	if at == "" {
		return ""
	}
	return ", " + s.moment(at)
}

// appliedView says what became of each node.
func appliedView(s *screen, raw json.RawMessage) error {
	r, err := client.Decode[apitypes.ApplyStagedResult](raw)
	if err != nil {
		return err
	}
	t := table{columns: []column{{title: "RESULT"}, {title: "COUNT", right: true}, {title: "NODES", min: 20, wrap: true}}}
	for _, part := range []struct {
		name  string
		ids   []string
		style style
	}{{"succeeded", r.Succeeded, good}, {"failed", r.Failed, bad}, {"ignored", r.Ignored, held}} {
		if len(part.ids) == 0 {
			part.style = plain
		}
		t.row(cell{part.name, part.style}, cell{text: strconv.Itoa(len(part.ids))}, cell{text: xname.Fold(part.ids)})
	}
	return t.write(s)
}
