// SPDX-License-Identifier: MIT

package legacy

import (
	"encoding/json"
	"math"
	"slices"

	"bos/internal/bos"
	"bos/internal/store"
)

// The bounds of a component's fields, in characters and numbers.
const (
	maxComponentID = 127
	maxError       = 65536
	maxToken       = 65535
	maxCount       = 1 << 20
)

// componentOf takes everything of a component. What says what a node shall do
// is taken whole or not at all: without a kernel it would be switched off.
func (d *doc) componentOf(o *object) bos.Component {
	d.whole = true
	c := bos.Component{ID: d.text(o, "", "id", maxComponentID).Value()}
	switch {
	case c.ID == "":
		d.refuse("it has no id")
	case c.ID != d.key:
		d.refuse("its id is not its key, %s", quoted(d.key))
	}
	c.Enabled = d.flag(o, "", "enabled")
	c.Session = d.text(o, "", "session", math.MaxInt)
	if in, ok := d.sub(o, "", "desired_state"); ok {
		const path = "desired_state"
		c.DesiredState = bos.Some(bos.DesiredState{
			BootArtifacts: d.artifacts(in, path),
			Configuration: d.text(in, path, "configuration", maxConfiguration),
			BSSToken:      d.text(in, path, "bss_token", maxToken),
			LastUpdated:   d.lastUpdated(in, path),
		})
		d.drop(in, path)
	}
	if in, ok := d.sub(o, "", "staged_state"); ok {
		const path = "staged_state"
		c.StagedState = bos.Some(bos.StagedState{
			BootArtifacts: d.artifacts(in, path),
			Configuration: d.text(in, path, "configuration", maxConfiguration),
			Session:       d.text(in, path, "session", math.MaxInt),
			LastUpdated:   d.lastUpdated(in, path),
		})
		d.drop(in, path)
	}
	d.whole = false
	if in, ok := d.sub(o, "", "actual_state"); ok {
		const path = "actual_state"
		c.ActualState = bos.Some(bos.ActualState{
			BootArtifacts: d.artifacts(in, path),
			BSSToken:      d.text(in, path, "bss_token", maxToken),
			LastUpdated:   d.lastUpdated(in, path),
		})
		d.drop(in, path)
	}
	d.componentRest(o, &c)
	d.drop(o, "")
	return c
}

func (d *doc) componentRest(o *object, c *bos.Component) {
	if in, ok := d.sub(o, "", "last_action"); ok {
		const path = "last_action"
		c.LastAction = bos.Some(bos.LastAction{
			Action: word(d, in, path, "action", bos.ActionPoweringOn, bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully,
				bos.ActionSessionSetup, bos.ActionApplyStaged, bos.ActionNewlyDiscovered, bos.ActionActualStateCleanup),
			Failed:      d.flag(in, path, "failed"),
			LastUpdated: d.lastUpdated(in, path),
		})
		d.drop(in, path)
	}
	if in, ok := d.sub(o, "", "event_stats"); ok {
		const path = "event_stats"
		c.EventStats = bos.Some(bos.EventStats{
			PowerOnAttempts:          d.number(in, path, "power_on_attempts", 0, maxCount),
			PowerOffGracefulAttempts: d.number(in, path, "power_off_graceful_attempts", 0, maxCount),
			PowerOffForcefulAttempts: d.number(in, path, "power_off_forceful_attempts", 0, maxCount),
		})
		d.drop(in, path)
	}
	if in, ok := d.sub(o, "", "status"); ok {
		const path = "status"
		c.Status = bos.Some(bos.Status{
			Phase:          word(d, in, path, "phase", bos.PhaseNone, bos.PhasePoweringOn, bos.PhasePoweringOff, bos.PhaseConfiguring),
			StatusOverride: d.text(in, path, "status_override", maxError),
		})
		if _, ok := d.take(in, path, "status"); ok {
			d.changed(join(path, "status"), "dropped: it is computed at every read")
		}
		d.drop(in, path)
	}
	c.Error = d.prose(o, "", "error", maxError)
	c.RetryPolicy = d.number(o, "", "retry_policy", 0, maxCount)
}

func (d *doc) lastUpdated(o *object, path string) bos.Opt[string] {
	// A time is not worth a component.
	whole := d.whole
	d.whole = false
	v := d.stamp(o, path, "last_updated")
	d.whole = whole
	return v
}

// artifacts takes boot artifacts. The original keeps the time of a token's in
// them.
func (d *doc) artifacts(o *object, path string) bos.Opt[bos.BootArtifacts] {
	in, ok := d.sub(o, path, "boot_artifacts")
	if !ok {
		return bos.Opt[bos.BootArtifacts]{}
	}
	path = join(path, "boot_artifacts")
	if _, ok := in.members["timestamp"]; ok {
		delete(in.members, "timestamp")
		d.changed(join(path, "timestamp"), "dropped: that is its token's")
	}
	a := d.artifactsIn(in, path)
	d.drop(in, path)
	return bos.Some(a)
}

func (d *doc) artifactsIn(o *object, path string) bos.BootArtifacts {
	return bos.BootArtifacts{
		Kernel:           d.text(o, path, "kernel", maxPath),
		KernelParameters: d.parameters(o, path),
		Initrd:           d.text(o, path, "initrd", maxPath),
	}
}

// convertComponent makes our record of one of the original's components.
func convertComponent(d *doc, o *object, found *fleet, at When) (Document, bool) {
	c := d.componentOf(o)
	if d.why != "" {
		return Document{}, false
	}
	rec := bos.Record{Component: c}
	d.own(&rec, found)
	if s := rec.Component.ActualState.Value(); rec.Component.ActualState.IsSet() {
		rec.Sealed.ActualAt = at.instant(s.LastUpdated.Value())
	}
	if s := rec.Component.LastAction.Value(); rec.Component.LastAction.IsSet() {
		rec.Sealed.ActionAt = at.instant(s.LastUpdated.Value())
	}
	return Document{
		Database: Components, Name: d.name, Key: store.ComponentKey(c.ID), Value: store.EncodeRecord(&rec),
		face: func(value []byte) (string, error) {
			var r bos.Record
			if err := json.Unmarshal(value, &r); err != nil {
				return "", err
			}
			return string(r.Component.AppendJSON(nil)), nil
		},
	}, true
}

// own finds out whose the sessions are that a component names.
func (d *doc) own(rec *bos.Record, found *fleet) {
	c := &rec.Component
	if name := c.Session.Value(); name != "" {
		s := d.owner(found, "session", name, c.ID, false)
		if s != nil {
			rec.Sealed.Owner = s.Tenant
			// Until it is switched on, what it reports is of before.
			rec.Sealed.Restart = s.Operation == bos.OperationReboot && s.Status.Status == bos.SessionRunning &&
				slices.Contains([]bos.Action{
					bos.ActionSessionSetup, bos.ActionApplyStaged, bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully,
				}, c.LastAction.Value().Action.Value())
		}
		c.Session = bos.Some(d.follow(found, "session", s, name))
	}
	staged, _ := c.StagedState.Get()
	if name := staged.Session.Value(); name != "" {
		s := d.owner(found, "staged_state.session", name, c.ID, true)
		if s != nil {
			rec.Sealed.StagedOwner, rec.Sealed.StagedOperation = s.Tenant, s.Operation
		}
		rec.Sealed.StagedApplied = c.Session.Value() != "" && rec.Sealed.Owner == rec.Sealed.StagedOwner &&
			c.Session.Value() == d.quiet(found, s, name)
		staged.Session = bos.Some(d.follow(found, "staged_state.session", s, name))
		c.StagedState = bos.Some(staged)
	}
}

// quiet returns the name under which a session is kept that a component names.
func (d *doc) quiet(found *fleet, s *bos.Session, name string) string {
	key := bos.SessionKey{Name: name}
	if s != nil {
		key.Tenant = s.Tenant
	}
	return found.names.of(key)
}

// follow renames what a component names with its session.
func (d *doc) follow(found *fleet, field string, s *bos.Session, name string) string {
	now := d.quiet(found, s, name)
	if now != name {
		d.changed(field, "%q became %q, as the session did", name, now)
	}
	return now
}

// fleet is what components refer to.
type fleet struct {
	// sessions are those of each former name, with what they are called now.
	sessions map[string][]*member
	names    *names
}

// member is a session and who is in it.
type member struct {
	session *bos.Session
	nodes   bos.Set
}

// owner finds the session that a component names. Of several of one name the one
// counts that names the component; if that decides nothing, one that runs before
// one that does not, then the one that began last, then by tenant.
func (d *doc) owner(found *fleet, field, name, id string, stage bool) *bos.Session {
	all := found.sessions[name]
	better := func(keep func(*member) bool) {
		var kept []*member
		for _, m := range all {
			if keep(m) {
				kept = append(kept, m)
			}
		}
		if len(kept) > 0 {
			all = kept
		}
	}
	better(func(m *member) bool { return m.session.Stage == stage })
	better(func(m *member) bool { return m.nodes.Has(id) })
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0].session
	}
	many := len(all)
	better(func(m *member) bool { return m.session.Status.Status == bos.SessionRunning })
	best := all[0]
	for _, m := range all[1:] {
		if m.session.Status.StartTime > best.session.Status.StartTime {
			best = m
		}
	}
	d.changed(field, "ambiguous: %d tenants have a session %q, and not one alone names this component; it is taken as %s's",
		many, name, tenantText(best.session.Tenant))
	return best.session
}

func tenantText(tenant string) string {
	if tenant == "" {
		return "nobody"
	}
	return "tenant " + quoted(tenant)
}
