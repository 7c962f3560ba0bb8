// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The bounds of what PCS remembers.
const (
	maxTransitions     = 20000
	maxTransitionTasks = 2000000
	transitionLifetime = 24 * time.Hour
	maxDeadlineMinutes = 1000000
)

// operation is what a transition does.
type operation uint8

// The operations, in the order of operationNames.
const (
	opOn operation = iota
	opOff
	opSoftOff
	opForceOff
	opSoftRestart
	opHardRestart
	opInit
	operations
)

func operationNames() []string {
	return []string{"On", "Off", "Soft-Off", "Force-Off", "Soft-Restart", "Hard-Restart", "Init"}
}

// String returns PCS's spelling.
func (o operation) String() string { return operationNames()[o] }

// first is the command that an operation starts with.
func (o operation) first() command {
	switch o {
	case opOn:
		return commandOn
	case opForceOff:
		return commandForce
	case opOff, opSoftOff, opSoftRestart, opHardRestart, opInit, operations:
	}
	return commandGraceful
}

// forces reports whether the operation uses force where grace does not help.
func (o operation) forces() bool { return o == opOff || o == opHardRestart || o == opInit }

// restarts reports whether the operation ends with the node on again.
func (o operation) restarts() bool { return o == opSoftRestart || o == opHardRestart || o == opInit }

// taskStatus is how far PCS is with one node.
type taskStatus uint8

// The states of a task.
const (
	taskNew taskStatus = iota
	taskInProgress
	taskFailed
	taskSucceeded
	taskUnsupported
)

func (t taskStatus) String() string {
	return [...]string{"new", "in-progress", "failed", "succeeded", "unsupported"}[t]
}

// note is what PCS says about a task.
type note uint8

// The notes.
const (
	noteGathering note = iota
	noteApplying
	noteConfirming
	noteConfirmed
	noteAlready
	noteFailed
	noteApplyFailed
	noteUnsupported
	noteNotConfirming
	noteAborted
)

// task is one node of a transition.
type task struct {
	name    string
	node    int32
	err     string
	deputy  string
	sent    time.Duration
	status  taskStatus
	note    note
	command command
	// open is true until the task has come to an end.
	open bool
	// reserved is true while this transition holds the node.
	reserved bool
}

const noNode = int32(-1)

// transition is a power operation on some nodes.
type transition struct {
	id       string
	op       operation
	created  time.Duration
	deadline time.Duration
	endless  bool
	status   string
	tasks    []task
	// gathered is false as long as PCS shows no tasks.
	gathered bool
	abort    bool
}

// The states of a transition.
const (
	statusNew        = "new"
	statusInProgress = "in-progress"
	statusCompleted  = "completed"
	statusSignaled   = "abort-signaled"
	statusAborted    = "aborted"
)

func (t *transition) over() bool { return t.status == statusCompleted || t.status == statusAborted }

// text renders a note; OpenCHAMI cuts those of finished tasks.
func (s *Site) text(t *transition, k *task) string {
	if s.cfg.Flavour == OpenCHAMI && !k.open {
		return "..."
	}
	word := k.command.String()
	switch k.note {
	case noteGathering:
		return "Gathering data"
	case noteApplying:
		return "Applying transition, " + word
	case noteConfirming:
		return "Confirming successful transition, " + word
	case noteConfirmed:
		return "Transition confirmed, " + word
	case noteAlready:
		return "Component already in desired state"
	case noteApplyFailed:
		return "Failed to apply transition, " + word
	case noteUnsupported:
		return "Component does not support the specified transition operation, " + t.op.String()
	case noteNotConfirming:
		return "Transition applied, " + word + ". Not confirming."
	case noteAborted:
		return "Aborted. Last status - Confirming successful transition, " + word
	case noteFailed:
	}
	return "Failed to achieve transition"
}

// pcsCreate is POST /transitions.
func (s *Site) pcsCreate(w http.ResponseWriter, q *req) {
	type LocationParameter struct {
		Xname     string `json:"xname"`
		DeputyKey string `json:"deputyKey"`
	}
	type TransitionParameter struct { // exported for the names in decoding errors
		Operation           string              `json:"operation"`
		TaskDeadlineMinutes *int                `json:"taskDeadlineMinutes"`
		Location            []LocationParameter `json:"location"`
	}
	var in TransitionParameter
	if err := json.Unmarshal(q.body, &in); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	op := operation(slices.IndexFunc(operationNames(), func(n string) bool { return strings.EqualFold(n, in.Operation) }))
	if op >= operations {
		problem(w, http.StatusBadRequest, "invalid Operation type "+in.Operation)
		return
	}
	t := &transition{id: uuid.NewString(), op: op, status: statusNew}
	minutes := 5
	if in.TaskDeadlineMinutes != nil {
		minutes = min(*in.TaskDeadlineMinutes, maxDeadlineMinutes)
	}
	t.deadline, t.endless = s.scaled(time.Duration(minutes)*time.Minute), minutes < 0
	names := make([]string, len(in.Location))
	for k, l := range in.Location {
		names[k] = l.Xname
	}
	q.call.Operation, q.call.Nodes = op.String(), names
	s.mu.Lock()
	t.created = s.now()
	s.judgeTransition(op, q.call.Attempt, names)
	seen := make(map[string]bool, len(names))
	for _, l := range in.Location {
		if seen[l.Xname] {
			continue
		}
		seen[l.Xname] = true
		k := task{name: l.Xname, node: noNode, deputy: l.DeputyKey, command: op.first(), open: true}
		if i, ok := s.index[l.Xname]; ok {
			k.node, k.name = i, s.comps[i].id
		}
		t.tasks = append(t.tasks, k)
	}
	s.remember(t)
	if len(t.tasks) == 0 {
		t.status = statusCompleted
	} else {
		s.after(s.cfg.Delays.Gather, func() { s.startTransition(t) })
	}
	s.mu.Unlock()
	w.Header().Set("Location", "../transitions/"+t.id)
	reply(w, http.StatusOK, typeJSON, map[string]string{"transitionID": t.id, "operation": op.String()})
}

// remember stores a transition and forgets the oldest finished ones where there
// are too many.
func (s *Site) remember(t *transition) {
	p := &s.pcs
	p.transitions[t.id] = t
	p.order = append(p.order, t)
	p.tasks += len(t.tasks)
	for len(p.order) > 0 && p.order[0].over() && (len(p.order) > maxTransitions ||
		p.tasks > maxTransitionTasks || t.created-p.order[0].created > transitionLifetime) {
		p.tasks -= len(p.order[0].tasks)
		delete(p.transitions, p.order[0].id)
		p.order[0] = nil
		p.order = p.order[1:]
	}
	s.stats.Transitions++
}

// countsBody is a transition's counts.
type countsBody struct {
	Total       int `json:"total"`
	New         int `json:"new"`
	InProgress  int `json:"in-progress"`
	Failed      int `json:"failed"`
	Succeeded   int `json:"succeeded"`
	Unsupported int `json:"un-supported"`
}

// taskBody is a task as PCS shows it.
type taskBody struct {
	Xname       string `json:"xname"`
	Status      string `json:"taskStatus"`
	Description string `json:"taskStatusDescription"`
	Error       string `json:"error,omitempty"`
}

// transitionBody is a transition as PCS shows it.
type transitionBody struct {
	ID        string     `json:"transitionID"`
	Operation string     `json:"operation"`
	Created   string     `json:"createTime"`
	Expires   string     `json:"automaticExpirationTime"`
	Status    string     `json:"transitionStatus"`
	Counts    countsBody `json:"taskCounts"`
	Tasks     []taskBody `json:"tasks,omitempty"`
}

// body renders a transition; the lock must be held. Tasks come last first: the
// real order is arbitrary.
func (s *Site) body(t *transition, withTasks bool) transitionBody {
	out := transitionBody{
		ID: t.id, Operation: t.op.String(), Status: t.status,
		Created: s.wall(t.created).Format(time.RFC3339Nano),
		Expires: s.wall(t.created + transitionLifetime).Format(time.RFC3339Nano),
	}
	if !t.gathered {
		return out
	}
	out.Counts.Total = len(t.tasks)
	for k := len(t.tasks) - 1; k >= 0; k-- {
		task := &t.tasks[k]
		switch task.status {
		case taskNew:
			out.Counts.New++
		case taskInProgress:
			out.Counts.InProgress++
		case taskFailed:
			out.Counts.Failed++
		case taskSucceeded:
			out.Counts.Succeeded++
		case taskUnsupported:
			out.Counts.Unsupported++
		}
		if withTasks {
			out.Tasks = append(out.Tasks, taskBody{task.name, task.status.String(), s.text(t, task), task.err})
		}
	}
	return out
}

// pcsTransitions is GET /transitions.
func (s *Site) pcsTransitions(w http.ResponseWriter, _ *req) {
	s.mu.Lock()
	out := make([]transitionBody, 0, len(s.pcs.order))
	for _, t := range s.pcs.order {
		out = append(out, s.body(t, false))
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, map[string]any{"transitions": out})
}

// findTransition returns the transition in the path, or answers.
func (s *Site) findTransition(w http.ResponseWriter, q *req) *transition {
	if _, err := uuid.Parse(q.args[0]); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return nil
	}
	s.mu.Lock()
	t := s.pcs.transitions[q.args[0]]
	s.mu.Unlock()
	if t == nil {
		problem(w, http.StatusNotFound, "Key /transition/"+q.args[0]+" does not exist")
	}
	return t
}

// pcsTransition is GET /transitions/{id}.
func (s *Site) pcsTransition(w http.ResponseWriter, q *req) {
	t := s.findTransition(w, q)
	if t == nil {
		return
	}
	s.mu.Lock()
	out := s.body(t, true)
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// pcsAbort is DELETE /transitions/{id}; the next tick carries it out.
func (s *Site) pcsAbort(w http.ResponseWriter, q *req) {
	t := s.findTransition(w, q)
	if t == nil {
		return
	}
	s.mu.Lock()
	over := t.over()
	if !over {
		t.abort, t.status = true, statusSignaled
	}
	s.mu.Unlock()
	if over {
		problem(w, http.StatusBadRequest, "The transition is complete and can't be aborted.")
		return
	}
	reply(w, http.StatusAccepted, typeJSON, map[string]string{"abortStatus": "Accepted - abort initiated"})
}
