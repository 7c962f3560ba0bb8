// SPDX-License-Identifier: MIT

package decide

import "bos/internal/bos"

// NodeTurn says whose turn an enabled component is, and what that waits for.
// Due is when something happens although nothing is observed; 0 if it is an
// observation alone that is awaited.
type NodeTurn struct {
	Owner    string
	Awaiting string
	Due      bos.Instant
}

// Turn says whose turn a component is: a name for what is awaited, always. A
// component that is not enabled is nobody's turn. open says that the transition
// of its last command is not completed.
func Turn(rec *bos.Record, opts bos.Options, noCFS, open bool) (NodeTurn, bool) {
	c := &rec.Component
	if !c.Enabled.Value() {
		return NodeTurn{}, false
	}
	t := turnOf(rec, opts, noCFS)
	if open {
		t.Awaiting, t.Due = t.Awaiting+", after the end of its former power transition", 0
	}
	if w := rec.Sealed.Wait; w != nil {
		t.Awaiting, t.Due = w.On, 0
	}
	return t, true
}

func turnOf(rec *bos.Record, opts bos.Options, noCFS bool) NodeTurn {
	c, at := &rec.Component, rec.Sealed.ActionAt
	switch c.StatusNow() {
	case bos.StatusPowerOnPending:
		return NodeTurn{Owner: RolePowerOn, Awaiting: "its power-on"}
	case bos.StatusPowerOnCalled:
		return NodeTurn{Owner: RoleStatus, Awaiting: "power and the node's report", Due: at.Add(max(opts.MaxBootWait(), opts.MaxPowerOnWait()))}
	case bos.StatusPowerOffPending:
		return NodeTurn{Owner: RolePowerOffGraceful, Awaiting: "its shutdown"}
	case bos.StatusPowerOffGracefullyCalled, bos.StatusPowerOffForcefullyCalled:
		return NodeTurn{Owner: RolePowerOffForceful, Awaiting: "power off", Due: at.Add(opts.MaxPowerOffWait())}
	case bos.StatusConfiguring:
		if noCFS {
			return NodeTurn{Owner: RoleStatus, Awaiting: "a look at its power"}
		}
		return NodeTurn{Owner: RoleConfiguration, Awaiting: "its configuration"}
	default:
	}
	return NodeTurn{Owner: RoleStatus, Awaiting: "a look at its power and configuration"}
}
