// SPDX-License-Identifier: MIT

package operator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/upstream/bss"
	"bos/internal/upstream/call"
	"bos/internal/upstream/cfs"
	"bos/internal/upstream/hsm"
	"bos/internal/upstream/pcs"
)

// The pace of the world.
const (
	powerDelay  = 5 * time.Second
	bootDelay   = 60 * time.Second
	configDelay = 20 * time.Second
	taskLimit   = time.Minute
)

// world is a small site in virtual time: what operators call, with nodes that
// do as they are told unless a test says otherwise.
type world struct {
	mu    sync.Mutex
	nodes map[string]*worldNode
	// transitions are those that PCS knows.
	transitions map[string]*worldTransition
	numbered    int
	// calls are the changing calls in their order, "pcs On x1".
	calls []string
	// hook may fail a call, by its name such as pcs.start; it may also block.
	hook func(ctx context.Context, call string, ids []string) error
	// after runs when a transition was taken, and may lose the answer.
	after func(id string) error
	// noLocks says that HSM can't tell about single locks.
	noLocks bool
	groups  map[string][]string
	// report is how a node tells BOS what it booted.
	report func(id, token string)
}

type worldNode struct {
	on, missing, locked    bool
	neverOn, ignoreSoftOff bool
	neverReport            bool
	busy                   string // the transition that holds it
	params                 bss.Params
	config                 cfs.Component
	configFails            bool
}

type worldTransition struct {
	op      pcs.Operation
	attempt string
	created time.Time
	tasks   map[string]*pcs.Task
	done    bool
}

func newWorld(ids ...string) *world {
	w := &world{nodes: map[string]*worldNode{}, transitions: map[string]*worldTransition{}, groups: map[string][]string{}}
	for _, id := range ids {
		w.nodes[id] = &worldNode{config: cfs.Component{ID: id, ConfigurationStatus: "unconfigured"}}
	}
	return w
}

// ask runs the hook without the lock, since it may block.
func (w *world) ask(ctx context.Context, name string, ids []string) error {
	w.mu.Lock()
	hook := w.hook
	w.mu.Unlock()
	if hook == nil {
		return ctx.Err()
	}
	return hook(ctx, name, ids)
}

func (w *world) set(change func(w *world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *world) log(format string, args ...any) {
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
}

// of returns what was done to a node.
func (w *world) of(id string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, c := range w.calls {
		if len(c) > len(id) && c[len(c)-len(id):] == id {
			out = append(out, c[:len(c)-len(id)-1])
		}
	}
	return out
}

func away(service string) error {
	return &call.Error{Service: service, Operation: "test", Kind: call.Away, Status: 503, Err: errors.New("down")}
}

func refused(service, words string) error {
	return &call.Error{Service: service, Operation: "test", Kind: call.Refused, Status: 400, Words: words, Err: errors.New(words)}
}

// Nodes implements operator.HSM.
func (w *world) Nodes(ctx context.Context) ([]hsm.Node, error) {
	if err := w.ask(ctx, "hsm.nodes", nil); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []hsm.Node
	for id, n := range w.nodes {
		if !n.missing {
			out = append(out, hsm.Node{ID: id, Role: "Compute", Arch: "X86", Enabled: true})
		}
	}
	return out, nil
}

// Query implements operator.HSM.
func (w *world) Query(ctx context.Context, ids []string, _ bool) (map[string]hsm.Node, error) {
	if err := w.ask(ctx, "hsm.query", ids); err != nil {
		return nil, err
	}
	all, err := w.Nodes(ctx)
	out := map[string]hsm.Node{}
	asked := bos.NewSet(ids...)
	for _, n := range all {
		if asked.Has(n.ID) {
			out[n.ID] = n
		}
	}
	return out, err
}

// Groups implements operator.HSM.
func (w *world) Groups(ctx context.Context) (map[string][]string, error) {
	return w.groups, w.ask(ctx, "hsm.groups", nil)
}

// Partitions implements operator.HSM.
func (w *world) Partitions(ctx context.Context) (map[string][]string, error) {
	return nil, w.ask(ctx, "hsm.partitions", nil)
}

// Locked implements operator.HSM.
func (w *world) Locked(ctx context.Context) (map[string]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]bool{}
	for id, n := range w.nodes {
		if n.locked {
			out[id] = true
		}
	}
	return out, ctx.Err()
}

// Locks implements operator.HSM.
func (w *world) Locks(_ context.Context, ids []string) (map[string]hsm.LockState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noLocks {
		return nil, call.ErrUnsupported
	}
	out := map[string]hsm.LockState{}
	for _, id := range ids {
		if n := w.nodes[id]; n != nil {
			out[id] = hsm.LockState{Locked: n.locked, Reserved: n.busy != ""}
		}
	}
	return out, nil
}

// PowerStatus implements operator.PCS.
func (w *world) PowerStatus(ctx context.Context, ids []string) (map[string]pcs.Power, error) {
	if err := w.ask(ctx, "pcs.status", ids); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]pcs.Power{}
	for _, id := range ids {
		n := w.nodes[id]
		if n == nil {
			continue
		}
		state := pcs.StateOff
		if n.on {
			state = pcs.StateOn
		}
		out[id] = pcs.Power{State: state, Found: true}
	}
	return out, nil
}

// Time implements operator.PCS.
func (w *world) Time(at time.Time) (time.Time, bool) { return at, true }

// StartTransition implements operator.PCS.
func (w *world) StartTransition(ctx context.Context, op pcs.Operation, ids []string, attempt string) (string, error) {
	if err := w.ask(ctx, "pcs.start", ids); err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbered++
	id := fmt.Sprintf("t%d", w.numbered)
	tr := &worldTransition{op: op, attempt: attempt, created: time.Now(), tasks: map[string]*pcs.Task{}}
	w.transitions[id] = tr
	for _, node := range ids {
		w.log("pcs %s %s", op, node)
		tr.tasks[node] = w.begin(id, op, node)
	}
	time.AfterFunc(powerDelay+time.Second, func() { w.finish(id, false) })
	time.AfterFunc(taskLimit, func() { w.finish(id, true) })
	if w.after != nil {
		return id, w.after(id)
	}
	return id, nil
}

// Starts implements operator.PCS.
func (w *world) Starts() *call.Sizer { return nil }

// Puts implements operator.BSS.
func (w *world) Puts() *call.Sizer { return nil }

// Patches implements operator.CFS.
func (w *world) Patches() *call.Sizer { return nil }

// begin takes a node into a transition; the lock is held.
func (w *world) begin(transition string, op pcs.Operation, node string) *pcs.Task {
	n := w.nodes[node]
	if n.locked || n.busy != "" {
		return &pcs.Task{Status: "failed", Error: "Unable to reserve component"}
	}
	n.busy = transition
	time.AfterFunc(powerDelay, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case op == pcs.On && !n.neverOn && !n.on:
			n.on = true
			w.boot(node, n)
		case op == pcs.SoftOff && !n.ignoreSoftOff, op == pcs.ForceOff:
			n.on = false
		}
	})
	return &pcs.Task{Status: "in-progress"}
}

// boot has a node come up; the lock is held.
func (w *world) boot(id string, n *worldNode) {
	_, token, _ := cutLast(n.params.Params, "bss_referral_token=")
	time.AfterFunc(bootDelay, func() {
		w.mu.Lock()
		up, report := n.on && !n.neverReport, w.report
		if up {
			n.config.Enabled, n.config.ConfigurationStatus = true, "pending"
		}
		w.mu.Unlock()
		if !up {
			return
		}
		report(id, token)
		time.AfterFunc(configDelay, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if n.config.ConfigurationStatus == "pending" {
				n.config.ConfigurationStatus = "configured"
				if n.configFails {
					n.config.ConfigurationStatus = "failed"
				}
			}
		})
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	for i := len(s) - len(sep); i >= 0; i-- {
		if s[i:i+len(sep)] == sep {
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}

// finish ends the tasks of a transition that reached their state, or, at the
// deadline, all of them.
func (w *world) finish(id string, deadline bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tr := w.transitions[id]
	over := true
	for node, task := range tr.tasks {
		n := w.nodes[node]
		switch {
		case task.Status != "in-progress":
		case n.on == (tr.op == pcs.On):
			task.Status = "succeeded"
		case deadline:
			task.Status, task.Error = "failed", "Timeout waiting for transition"
		default:
			over = false
		}
	}
	if !over || tr.done {
		return
	}
	tr.done = true
	for node := range tr.tasks {
		if w.nodes[node].busy == id {
			w.nodes[node].busy = ""
		}
	}
}

// Transition implements operator.PCS.
func (w *world) Transition(ctx context.Context, id string) (pcs.Transition, error) {
	if err := w.ask(ctx, "pcs.transition", nil); err != nil {
		return pcs.Transition{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	tr := w.transitions[id]
	if tr == nil {
		return pcs.Transition{}, bos.Errorf(bos.CodeNotFound, "no such transition")
	}
	out := pcs.Transition{ID: id, Operation: tr.op, Status: "in-progress", Tasks: map[string]pcs.Task{}}
	if tr.done {
		out.Status = "completed"
	}
	for node, task := range tr.tasks {
		out.Tasks[node] = *task
	}
	return out, nil
}

// Transitions implements operator.PCS.
func (w *world) Transitions(ctx context.Context) ([]pcs.Summary, error) {
	if err := w.ask(ctx, "pcs.transitions", nil); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []pcs.Summary
	for id, tr := range w.transitions {
		s := pcs.Summary{ID: id, Operation: tr.op, Status: "in-progress", CreateTime: tr.created}
		if tr.done {
			s.Status = "completed"
		}
		out = append(out, s)
	}
	return out, nil
}

// PutBootParameters implements operator.BSS.
func (w *world) PutBootParameters(ctx context.Context, p bss.Params, _ string) error {
	if err := w.ask(ctx, "bss.put", p.Hosts); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range p.Hosts {
		w.log("bss %s", id)
		w.nodes[id].params = p
	}
	return nil
}

// Components implements operator.CFS.
func (w *world) Components(ctx context.Context, ids []string) (map[string]cfs.Component, error) {
	if err := w.ask(ctx, "cfs.components", ids); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]cfs.Component{}
	for _, id := range ids {
		if n := w.nodes[id]; n != nil {
			out[id] = n.config
		}
	}
	return out, nil
}

// Patch implements operator.CFS.
func (w *world) Patch(ctx context.Context, ids []string, change cfs.Change, _ string) error {
	if err := w.ask(ctx, "cfs.patch", ids); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.log("cfs %s %s", *change.DesiredConfig, id)
		n := w.nodes[id]
		n.config.DesiredConfig, n.config.Enabled = *change.DesiredConfig, *change.Enabled
		if *change.Enabled {
			n.config.ConfigurationStatus = "configured"
		} else {
			n.config.ConfigurationStatus = "pending"
		}
	}
	return nil
}

// Tag implements operator.Tagger.
func (w *world) Tag(ctx context.Context, id, _, _, _ string) error {
	if err := w.ask(ctx, "ims.tag", nil); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log("ims %s", id)
	return nil
}

var errDown = errors.New("the store is down")

func maybeDone(service string) error {
	return &call.Error{Service: service, Operation: "test", Kind: call.Away, MaybeDone: true, Err: errors.New("connection lost")}
}
