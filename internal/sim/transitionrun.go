// SPDX-License-Identifier: MIT

package sim

import (
	"time"
)

// startTransition decides what each task needs and sends the commands. What the
// cache shows counts, not what the hardware does.
func (s *Site) startTransition(t *transition) {
	t.gathered = true
	if t.abort {
		s.endAborted(t)
		return
	}
	t.status = statusInProgress
	now := s.now()
	wait := false
	applied := now
	for k := range t.tasks {
		task := &t.tasks[k]
		if !s.accept(t, task) {
			wait = wait || task.err == errReserve
			continue
		}
		wait = true
		task.sent = now
		applied = max(applied, now+s.apply(t, k))
	}
	if !wait {
		s.complete(t, statusCompleted)
		return
	}
	s.after(applied-now+s.cfg.Delays.Tick, func() { s.tick(t) })
}

// The errors of tasks that fail at once.
const (
	errReserve     = "Unable to reserve component"
	errMissing     = "Missing xname"
	errInvalid     = "Invalid xname"
	errUnsupported = "Unsupported for transition operation"
	errAborted     = "Transition aborted"
)

// accept settles a task that needs no command or can't have one, and reserves
// the node of any other.
func (s *Site) accept(t *transition, k *task) bool {
	typ, _, ok := xnameType(k.name)
	known := k.node != noNode
	switch {
	case !ok || !isLowerXname(k.name):
		s.settle(t, k, taskFailed, noteFailed, errInvalid)
	case typ == "Cabinet" || typ == "MgmtSwitch" || typ == "CDU":
		s.settle(t, k, taskUnsupported, noteFailed, "No power control for component type "+typ)
	case !known || !s.hasPower(k.node):
		s.settle(t, k, taskFailed, noteFailed, errMissing)
	case typ != typeNode:
		s.settle(t, k, taskUnsupported, noteUnsupported, errUnsupported)
	case !t.op.restarts() && s.shownPower(k.node) == k.command.wanted():
		s.settle(t, k, taskSucceeded, noteAlready, "")
	case !s.reserveFor(t, k):
		if s.comps[k.node].locked {
			s.stats.LockedTransitions++
		} else {
			s.stats.Conflicts++
		}
		s.settle(t, k, taskFailed, noteFailed, errReserve)
	default:
		return true
	}
	return false
}

// reserveFor takes the reservation that a task needs; a deputy key stands for
// the reservation that it belongs to.
func (s *Site) reserveFor(t *transition, k *task) bool {
	c := &s.comps[k.node]
	now := s.now()
	if c.reserved(now) {
		return k.deputy != "" && k.deputy == c.res.deputy || s.cfg.NoReservations && c.res.owner != otherOwner
	}
	if c.locked {
		return false
	}
	if !s.cfg.NoReservations {
		c.res = &reservation{owner: t.id, created: now, expires: now + s.scaled(15*time.Minute)}
		k.reserved = true
	}
	return true
}

// apply sends a task's command to its BMC and returns how long that takes.
func (s *Site) apply(t *transition, index int) time.Duration {
	k := &t.tasks[index]
	n := &s.nodes[k.node]
	fail := func(after time.Duration, text string) time.Duration {
		k.status, k.note = taskNew, noteApplying
		s.after(after, func() {
			if k.open && k.note == noteApplying {
				s.settle(t, k, taskFailed, noteApplyFailed, text)
			}
		})
		return after
	}
	url := "https://" + s.comps[k.node].id[:len(s.comps[k.node].id)-2] +
		"/redfish/v1/Systems/Node0/Actions/ComputerSystem.Reset"
	switch {
	case n.has(FaultBMCRefuses):
		return fail(s.cfg.Delays.Refusal, "POST "+url+" giving up after 4 attempt(s): Post \""+url+
			"\": dial tcp: connect: connection refused")
	case n.has(FaultBMCHangs):
		return fail(s.cfg.Delays.StatusTimeout, "POST "+url+" giving up after 4 attempt(s): Post \""+url+
			"\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
	case n.has(FaultBMCRejects):
		if s.cfg.PCSSeesBMCErrors {
			s.settle(t, k, taskFailed, noteApplyFailed, "POST "+url+" answered 400 Bad Request")
			return 0
		}
	default:
		s.obey(k.node, k.command)
	}
	k.status, k.note = taskInProgress, noteConfirming
	if t.deadline == 0 && !t.endless {
		// PCS calls it a success at once, and looks again all the same.
		k.status, k.note = taskSucceeded, noteNotConfirming
	}
	return 0
}

// tick looks at the tasks that are under way, every 15 s.
func (s *Site) tick(t *transition) {
	if t.over() {
		return
	}
	if t.abort {
		s.endAborted(t)
		return
	}
	open := false
	applied := time.Duration(0)
	for k := range t.tasks {
		task := &t.tasks[k]
		if !task.open || task.note == noteApplying {
			open = open || task.open
			continue
		}
		applied = max(applied, s.follow(t, k))
		open = open || task.open
	}
	if !open {
		s.complete(t, statusCompleted)
		return
	}
	s.after(applied+s.cfg.Delays.Tick, func() { s.tick(t) })
}

// follow looks at one task: confirmed, next step, or out of time. It returns how
// long a further command takes.
func (s *Site) follow(t *transition, index int) time.Duration {
	k := &t.tasks[index]
	now := s.now()
	if s.shownPower(k.node) == k.command.wanted() {
		if !t.op.restarts() || k.command == commandOn {
			s.settle(t, k, taskSucceeded, noteConfirmed, "")
			return 0
		}
		k.command, k.sent = commandOn, now
		return s.apply(t, index)
	}
	if t.endless || now-k.sent < t.deadline {
		return 0
	}
	if t.op.forces() && k.command == commandGraceful {
		k.command, k.sent = commandForce, now
		return s.apply(t, index)
	}
	s.settle(t, k, taskFailed, noteFailed, "Timeout waiting for transition, "+k.command.String()+".")
	return 0
}

// settle ends a task.
func (s *Site) settle(t *transition, k *task, status taskStatus, n note, text string) {
	if !k.open {
		return
	}
	applied := k.note != noteGathering
	k.status, k.note, k.err, k.open = status, n, text, false
	s.judgeSettled(t.op, k.node, applied)
}

// endAborted fails what is not done yet.
func (s *Site) endAborted(t *transition) {
	for k := range t.tasks {
		s.settle(t, &t.tasks[k], taskFailed, noteAborted, errAborted)
	}
	s.complete(t, statusAborted)
}

// complete ends a transition and lets go of its nodes.
func (s *Site) complete(t *transition, status string) {
	t.status = status
	for k := range t.tasks {
		task := &t.tasks[k]
		if !task.reserved {
			continue
		}
		task.reserved = false
		if c := &s.comps[task.node]; c.res != nil && c.res.owner == t.id {
			c.res = nil
		}
	}
}
