// SPDX-License-Identifier: MIT

package operator

import (
	"bos/internal/bos"
	"bos/internal/decide"
)

// happenings gathers what a pass has to tell: one event for all nodes of a
// session to which the same has happened.
type happenings map[decide.Happening][]*bos.Record

// add notes what happened to a node; nothing is nothing.
func (h happenings) add(what decide.Happening, rec *bos.Record) {
	if what.Type != "" && rec != nil {
		h[what] = append(h[what], rec)
	}
}

// tell records events. It never waits.
func (d *Deps) tell(h happenings) {
	for what, records := range h {
		d.Events.RecordNodes(what.Type, what.Text, records)
	}
}

// tellWaits records what nodes were noted to wait for.
func (d *Deps) tellWaits(written map[string]*bos.Record, waitOf func(id string) bos.Wait) {
	h := happenings{}
	for id, rec := range written {
		if wait := waitOf(id); wait.On != "" {
			h.add(decide.WaitHappening(wait), rec)
		}
	}
	d.tell(h)
}

// tellSession records an event of a session as a whole.
func (d *Deps) tellSession(typ bos.EventType, key bos.SessionKey, text string) {
	d.Events.Record(typ, key, text)
}

// tellBack records that a service answers an operator again.
func (d *Deps) tellBack(role, service string) {
	d.Events.Record(bos.EventServiceBack, bos.SessionKey{}, service+" answers "+role+" again")
}
