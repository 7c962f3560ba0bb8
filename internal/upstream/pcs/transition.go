// SPDX-License-Identifier: MIT

package pcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

// Operation is what a transition does to its nodes.
type Operation string

// The operations that BOS uses.
const (
	On       Operation = "On"
	SoftOff  Operation = "Soft-Off"
	ForceOff Operation = "Force-Off"
)

// taskDeadline is the time in minutes that PCS gives a node. 0 is broken in
// PCS: a command that was taken is reported as failed later.
const taskDeadline = 1

// location is one node of a transition.
type location struct {
	Xname string `json:"xname"`
}

// started is PCS's answer to a new transition.
type started struct {
	ID string `json:"transitionID"`
}

// Check implements [call.Checker].
func (s *started) Check() error {
	if s.ID == "" {
		return errors.New("no transitionID")
	}
	return nil
}

// StartTransition asks PCS to do op to the nodes and returns the transition's
// id. It makes one request and never repeats it: whether one was carried out
// that got no answer, [call.Error.MaybeDone], can be seen in Transitions. PCS
// checks nothing here; what is wrong with a node shows in its task within a
// third of a second. attempt is the identity that travels with the request.
func (c *Client) StartTransition(ctx context.Context, op Operation, ids []string, attempt string) (string, error) {
	if err := call.RefuseEmpty(c.svc.Name(), ids); err != nil {
		return "", err
	}
	where := make([]location, len(ids))
	for i, id := range ids {
		where[i].Xname = id
	}
	var out started
	_, err := c.svc.Do(ctx, call.Request{
		Operation: "start-transition",
		Method:    http.MethodPost,
		Path:      "/transitions",
		Body: struct {
			Operation Operation  `json:"operation"`
			Deadline  int        `json:"taskDeadlineMinutes"`
			Location  []location `json:"location"`
		}{op, taskDeadline, where},
		Write:   true,
		Attempt: attempt,
	}, &out)
	return out.ID, err
}

// Transition is one transition with the tasks of its nodes.
type Transition struct {
	ID        string
	Operation Operation
	// Status is new, in-progress, completed, abort-signaled or aborted. It
	// says nothing about success.
	Status string
	// Tasks has the task of each node by its xname. There are none in the
	// first milliseconds.
	Tasks map[string]Task
}

// Completed reports whether PCS has done with the transition, and given back
// the reservations of its nodes.
func (t Transition) Completed() bool { return completed(t.Status) }

func completed(status string) bool {
	return strings.EqualFold(status, "completed") || strings.EqualFold(status, "aborted")
}

// Task is what became of one node in a transition.
type Task struct {
	// Status is new, in-progress, succeeded, failed or unsupported.
	Status string
	// Error is what PCS says went wrong, cleaned for users; "" if nothing.
	Error string
	// Description is PCS's comment, cleaned. It differs between flavours, one
	// shortens it to dots: nothing may be decided by it.
	Description string
}

// Outcome is the meaning of a task.
type Outcome int

// The outcomes.
const (
	// Pending is not decided yet.
	Pending Outcome = iota
	// Succeeded is what PCS holds for success: by its knowledge, which may be
	// old, the node is in the wanted state.
	Succeeded
	// Reserved is a node that is locked in HSM or that another transition is
	// working on. Nothing was done.
	Reserved
	// TimedOut is a node that PCS did not see in the wanted state in time. It
	// may well be: neither a success that PCS saw too late nor a refusal by
	// the BMC is told from a node that did nothing.
	TimedOut
	// Failed is any other failure, for example a BMC that can't be reached.
	Failed
	// Unsupported is a node that has no such operation.
	Unsupported
)

// String returns the outcome in words.
func (o Outcome) String() string {
	switch o {
	case Pending:
		return "pending"
	case Succeeded:
		return "succeeded"
	case Reserved:
		return "reserved"
	case TimedOut:
		return "timed out"
	case Failed:
		return "failed"
	case Unsupported:
		return "unsupported"
	default:
		return "unknown"
	}
}

// Outcome classifies the task by its status and error.
func (t Task) Outcome() Outcome {
	fault := strings.ToLower(t.Error)
	switch strings.ToLower(t.Status) {
	case "succeeded":
		return Succeeded
	case "unsupported", "un-supported":
		return Unsupported
	case "failed":
		switch {
		case strings.HasPrefix(fault, "unable to reserve component"):
			return Reserved
		case strings.HasPrefix(fault, "timeout waiting for transition"):
			return TimedOut
		default:
			return Failed
		}
	default:
		// New, in progress, or a word that PCS doesn't have today. A task with
		// an error will not get better.
		if fault != "" {
			return Failed
		}
		return Pending
	}
}

// task is the record of PCS.
type task struct {
	Xname       string `json:"xname"`
	Status      string `json:"taskStatus"`
	Description string `json:"taskStatusDescription"`
	Error       string `json:"error"`
}

// transition is the record of PCS, in the list without tasks.
type transition struct {
	ID         string `json:"transitionID"`
	Operation  string `json:"operation"`
	Status     string `json:"transitionStatus"`
	CreateTime string `json:"createTime"`
	Tasks      []task `json:"tasks"`
}

// Check implements [call.Checker].
func (t *transition) Check() error {
	if t.ID == "" || t.Status == "" {
		return errors.New("no transitionID or transitionStatus")
	}
	return nil
}

// Transition returns a transition. The error has [bos.CodeNotFound] if PCS has
// no such one; it keeps them for a day.
func (c *Client) Transition(ctx context.Context, id string) (Transition, error) {
	segment, err := call.Segment(id)
	if err != nil {
		return Transition{}, noSuchTransition(id, err)
	}
	var out transition
	_, err = c.svc.Do(ctx, call.Request{
		Operation: "get-transition",
		Method:    http.MethodGet,
		Path:      "/transitions/" + segment,
	}, &out)
	if call.StatusOf(err) == http.StatusNotFound {
		return Transition{}, noSuchTransition(id, err)
	}
	if err != nil {
		return Transition{}, err
	}
	t := Transition{
		ID: out.ID, Operation: Operation(out.Operation), Status: strings.ToLower(out.Status),
		Tasks: make(map[string]Task, len(out.Tasks)),
	}
	var words call.Cleaner
	for _, item := range out.Tasks {
		t.Tasks[item.Xname] = Task{
			Status: strings.ToLower(item.Status), Error: words.Clean(item.Error), Description: words.Clean(item.Description),
		}
	}
	return t, nil
}

func noSuchTransition(id string, cause error) error {
	return &bos.Error{
		Code:    bos.CodeNotFound,
		Message: fmt.Sprintf("PCS has no transition %q", id),
		Err:     cause,
	}
}

// Summary is a transition in the list of all.
type Summary struct {
	ID        string
	Operation Operation
	Status    string
	// CreateTime is the time by PCS's clock; zero if it said none.
	CreateTime time.Time
}

// Completed is [Transition.Completed].
func (s Summary) Completed() bool { return completed(s.Status) }

// transitions is PCS's list.
type transitions struct {
	Transitions []transition `json:"transitions"`
}

// Check implements [call.Checker].
func (t *transitions) Check() error {
	if t.Transitions == nil {
		return errors.New("no transitions")
	}
	return nil
}

// Transitions returns all transitions that PCS remembers, those of others too:
// of a day, at most 20,000. The error is [call.ErrUnsupported] from a PCS
// without this function.
func (c *Client) Transitions(ctx context.Context) ([]Summary, error) {
	var out transitions
	_, err := c.svc.Do(ctx, call.Request{Operation: "list-transitions", Method: http.MethodGet, Path: "/transitions"}, &out)
	if call.StatusOf(err) == http.StatusNotFound {
		return nil, fmt.Errorf("%w: %w", call.ErrUnsupported, err)
	}
	if err != nil {
		return nil, err
	}
	list := make([]Summary, 0, len(out.Transitions))
	for _, item := range out.Transitions {
		s := Summary{ID: item.ID, Operation: Operation(item.Operation), Status: strings.ToLower(item.Status)}
		// A time that can't be read is no reason to hide the transition.
		if created, err := time.Parse(time.RFC3339, item.CreateTime); err == nil {
			s.CreateTime = created
		}
		list = append(list, s)
	}
	return list, nil
}
