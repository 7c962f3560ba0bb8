// SPDX-License-Identifier: MIT

package decide

import (
	"slices"
	"strings"
	"time"

	"bos/internal/bos"
	"bos/internal/xname"
)

// PowerInput is what a power operator knows of the components whose turn it may
// be.
type PowerInput struct {
	Now     bos.Instant
	Options bos.Options
	// NoCFS and NoIMS say that the site has no such service.
	NoCFS, NoIMS bool
	// Away are the services that the operator must call and can't.
	Away Services
	// Probes are services that were away and may have come back: only one node
	// that needs them is tried.
	Probes map[string]bool
	// BatchSize is how many nodes one command may name, Slots how many commands may
	// go out at once: nodes are spread over them. 0 means 1.
	BatchSize, Slots int
	Nodes            []PowerNode
}

// PowerNode is a component whose turn it may be.
type PowerNode struct {
	Record *bos.Record
	// Power is a present look at its power (not for a graceful power-off).
	Power Power
	// InHSM says that HSM knows the node.
	InHSM bool
	// Open says that its last command's transition is not completed: until then
	// PCS keeps the node reserved.
	Open bool
	// Reserved says that the node is locked or reserved in HSM at this moment.
	Reserved bool
	// Stopped says that its session is paused or cancelled: it is nobody's turn.
	Stopped bool
}

// Candidates returns the components whose turn it would be if the services said
// what has to be so, and their power was in a certain state: about these, and
// no others, they must be asked. commands are those that would get one, giveUps
// those that used up their attempts.
func (in PowerInput) Candidates(decision func(PowerInput) PowerPlan, power string) (commands, giveUps []string) {
	in.Probes, in.BatchSize = nil, len(in.Nodes)
	nodes := make([]PowerNode, len(in.Nodes))
	for i, n := range in.Nodes {
		n.InHSM, n.Reserved = true, false
		n.Power = Power{Seen: true, Found: true, State: power}
		nodes[i] = n
	}
	in.Nodes = nodes
	plan := decision(in)
	for _, b := range plan.Batches {
		commands = append(commands, b.Nodes...)
	}
	for _, g := range plan.GiveUps {
		giveUps = append(giveUps, g.ID)
	}
	return commands, giveUps
}

// Without returns the input without some nodes.
func (in PowerInput) Without(held []HoldNode) PowerInput {
	if len(held) == 0 {
		return in
	}
	out := make(bos.Set, len(held))
	for _, h := range held {
		out.Add(h.ID)
	}
	nodes := make([]PowerNode, 0, len(in.Nodes))
	for _, n := range in.Nodes {
		if !out.Has(n.Record.Component.ID) {
			nodes = append(nodes, n)
		}
	}
	in.Nodes = nodes
	return in
}

// PowerPlan is what a power operator does now.
type PowerPlan struct {
	// Batches are commands to record and to send.
	Batches []PowerBatch
	// GiveUps are components that used up their attempts.
	GiveUps []GiveUp
	// Holds are components that begin to wait for a service.
	Holds []HoldNode
	// Due says for components that are left alone when to look again.
	Due map[string]bos.Instant
	// Probed are the services that the batches try.
	Probed []string
}

// GiveUp marks a component as failed. Text is empty if the error of its last
// attempt says why.
type GiveUp struct{ ID, Text string }

// HoldNode is a component and what it waits for.
type HoldNode struct {
	ID   string
	Wait bos.Wait
}

// PowerBatch is one command for some nodes, and what has to be prepared for it.
type PowerBatch struct {
	Action bos.Action
	Nodes  []string
	// The rest is for power-on only, and names the nodes that are not Refused.
	Boots   []BootGroup
	Configs []ConfigGroup
	Images  []ImageGroup
	// Refused are nodes whose attempt fails before any service is asked.
	Refused map[string]string
}

// BootGroup are nodes that boot the same.
type BootGroup struct {
	Artifacts bos.BootArtifacts
	Nodes     []string
}

// ConfigGroup are nodes that get the same configuration from the same session.
type ConfigGroup struct {
	Configuration, Session string
	Nodes                  []string
}

// ImageGroup are nodes that boot from the same projected IMS image.
type ImageGroup struct {
	ImageID string
	Nodes   []string
}

// ReservationPause is how soon a locked or reserved node is looked at again.
const ReservationPause = 5 * time.Second

// OnRecordInHSM is what a node waits for that HSM does not know.
const OnRecordInHSM = "its record in hsm"

const textNotInHSM = "waiting for hsm, which does not know this node"

// sbpsRoot marks kernel parameters whose root file system is projected by SBPS.
const sbpsRoot = "root=sbps-s3"

// PowerOn decides which nodes get a power-on: those whose turn it is, that HSM
// knows, that are seen to be off and whose former transition is completed.
func PowerOn(in PowerInput) PowerPlan {
	plan, due := in.pick(bos.ActionPoweringOn, RolePowerOn, in.needsOfPowerOn, func(n *PowerNode) (bool, bos.Instant) {
		return n.Power.Off(), 0
	})
	byID := map[string]*bos.Record{}
	for _, n := range due {
		byID[n.Record.Component.ID] = n.Record
	}
	for i := range plan.Batches {
		in.prepare(&plan.Batches[i], byID)
	}
	return plan
}

// needsOfPowerOn returns the services that have to be called for a node.
func (in *PowerInput) needsOfPowerOn(n *PowerNode) []string {
	needs := []string{ServiceHSM, ServicePCS, ServiceBSS}
	if !in.NoIMS && projected(n.Record.Component.DesiredArtifacts()) {
		needs = append(needs, ServiceIMS)
	}
	if !in.NoCFS {
		needs = append(needs, ServiceCFS)
	}
	return needs
}

func needsOfPowerOff(*PowerNode) []string { return []string{ServiceHSM, ServicePCS} }

// PowerOffGraceful decides which nodes are asked to shut down.
func PowerOffGraceful(in PowerInput) PowerPlan {
	plan, _ := in.pick(bos.ActionPoweringOffGracefully, RolePowerOffGraceful, needsOfPowerOff,
		func(*PowerNode) (bool, bos.Instant) { return true, 0 })
	return plan
}

// PowerOffForceful decides which nodes are cut off: those that were asked to
// shut down, or cut off, longer than max_power_off_wait_time ago and are not
// off. Others may have gone off unseen while PCS was away.
func PowerOffForceful(in PowerInput) PowerPlan {
	plan, _ := in.pick(bos.ActionPoweringOffForcefully, RolePowerOffForceful, needsOfPowerOff,
		func(n *PowerNode) (bool, bos.Instant) {
			if due := n.Record.Sealed.ActionAt.Add(in.Options.MaxPowerOffWait()); due > in.Now {
				return false, due
			}
			return !n.Power.Off(), 0
		})
	return plan
}

// turn says for an action whether it is a component's turn by its status.
func turn(action bos.Action, status bos.StatusName) bool {
	switch action {
	case bos.ActionPoweringOn:
		return status == bos.StatusPowerOnPending
	case bos.ActionPoweringOffGracefully:
		return status == bos.StatusPowerOffPending
	case bos.ActionPoweringOffForcefully:
		return status == bos.StatusPowerOffGracefullyCalled || status == bos.StatusPowerOffForcefullyCalled
	case bos.ActionSessionSetup, bos.ActionApplyStaged, bos.ActionNewlyDiscovered, bos.ActionActualStateCleanup:
	}
	return false
}

// pick sorts components into those that are due, those that gave up, those
// that wait and those that are left alone. needs says which services have to be
// called for a node; ready what else an action asks for, and when it will be so.
func (in *PowerInput) pick(
	action bos.Action, role string, needs func(*PowerNode) []string, ready func(*PowerNode) (bool, bos.Instant),
) (PowerPlan, []*PowerNode) {
	plan := PowerPlan{Due: map[string]bos.Instant{}}
	var due []*PowerNode
	for i := range in.Nodes {
		n := &in.Nodes[i]
		rec, id := n.Record, n.Record.Component.ID
		if n.Stopped || !rec.Component.Enabled.Value() || !turn(action, rec.Component.StatusNow()) {
			continue
		}
		// Not only the first command must wait: giving up would end a node that
		// is still on its way.
		if n.Open {
			continue
		}
		ok, when := ready(n)
		if !ok {
			plan.Due[id] = earlier(plan.Due[id], when)
			continue
		}
		if !n.InHSM {
			// For as long as it takes, but not silently.
			plan.hold(rec, bos.Wait{By: role, On: OnRecordInHSM, Text: textNotInHSM})
			continue
		}
		if rec.Component.EventStats.Value().Attempts(action) >= in.Options.RetryLimit(&rec.Component) {
			plan.GiveUps = append(plan.GiveUps, giveUp(rec))
			continue
		}
		if away, isAway := in.Away.first(needs(n)...); isAway {
			plan.hold(rec, bos.Wait{By: role, On: away.Service, Due: away.Next, Text: away.Text})
			plan.Due[id] = away.Next
			continue
		}
		if when := in.reserved(n); when > in.Now {
			plan.Due[id] = when
			continue
		}
		due = append(due, n)
	}
	slices.SortFunc(due, func(a, b *PowerNode) int { return xname.Compare(a.Record.Component.ID, b.Record.Component.ID) })
	due = in.probe(&plan, due, needs)
	for _, batch := range in.batches(due) {
		plan.Batches = append(plan.Batches, PowerBatch{Action: action, Nodes: batch})
	}
	return plan, due
}

// probePause is how soon the nodes are looked at again that are kept back while
// another one finds out whether a service has come back.
const probePause = time.Second

// probe keeps back all nodes but one that need a service which may have come
// back.
func (in *PowerInput) probe(plan *PowerPlan, due []*PowerNode, needs func(*PowerNode) []string) []*PowerNode {
	if len(in.Probes) == 0 {
		return due
	}
	var out []*PowerNode
	for _, n := range due {
		back := false
		var tries []string
		for _, service := range needs(n) {
			if !in.Probes[service] {
				continue
			}
			back = back || slices.Contains(plan.Probed, service)
			tries = append(tries, service)
		}
		if back {
			plan.Due[n.Record.Component.ID] = in.Now.Add(probePause)
			continue
		}
		plan.Probed = append(plan.Probed, tries...)
		out = append(out, n)
	}
	return out
}

// batches cuts nodes into batches. Those that need IMS come last and by
// themselves, so that they alone wait for it.
func (in *PowerInput) batches(due []*PowerNode) [][]string {
	var plain, image []string
	for _, n := range due {
		if id := n.Record.Component.ID; !in.NoIMS && projected(n.Record.Component.DesiredArtifacts()) {
			image = append(image, id)
		} else {
			plain = append(plain, id)
		}
	}
	size := in.BatchSize
	if in.Slots > 1 {
		size = min(size, max(leastSpread, (len(due)+in.Slots-1)/in.Slots))
	}
	return append(batches(plain, size), batches(image, size)...)
}

// leastSpread is how many nodes a command names at least before another one goes
// out beside it. BSS takes some 1.3 ms for each node of a command, one after the
// other, and the nodes wait for all of them.
const leastSpread = 100

// reserved returns when a node that is locked or reserved is looked at again; 0
// if nothing is known of that.
func (in *PowerInput) reserved(n *PowerNode) bos.Instant {
	w := n.Record.Sealed.Wait
	if w == nil || w.On != OnReservation {
		return 0
	}
	if n.Reserved {
		return max(w.Due, in.Now.Add(ReservationPause))
	}
	return w.Due
}

func giveUp(rec *bos.Record) GiveUp {
	g := GiveUp{ID: rec.Component.ID}
	text := rec.Component.Error.Value()
	if w := rec.Sealed.Wait; text == "" || w != nil && w.Text == text {
		g.Text = TextRetryLimit
	}
	return g
}

// hold notes a wait unless the component has it already.
func (p *PowerPlan) hold(rec *bos.Record, wait bos.Wait) {
	if w := rec.Sealed.Wait; w != nil && w.On == wait.On && w.By == wait.By {
		return
	}
	p.Holds = append(p.Holds, HoldNode{ID: rec.Component.ID, Wait: wait})
}

// prepare groups the nodes of a power-on by what they boot, by configuration
// and by the image that has to be projected.
func (in *PowerInput) prepare(b *PowerBatch, byID map[string]*bos.Record) {
	boots := map[artifactKey]*BootGroup{}
	type configKey struct{ configuration, session string }
	byConfig := map[configKey]*ConfigGroup{}
	byImage := map[string]*ImageGroup{}
	b.Refused = map[string]string{}
	for _, id := range b.Nodes {
		c := &byID[id].Component
		artifacts := c.DesiredArtifacts()
		if !in.NoIMS && projected(artifacts) {
			image, problem := projectedImage(artifacts.Kernel.Value())
			if problem != "" {
				b.Refused[id] = problem
				continue
			}
			g := group(byImage, image, func() ImageGroup { return ImageGroup{ImageID: image} })
			g.Nodes = append(g.Nodes, id)
		}
		boot := group(boots, keyOf(artifacts), func() BootGroup { return BootGroup{Artifacts: artifacts} })
		boot.Nodes = append(boot.Nodes, id)
		if in.NoCFS {
			continue
		}
		key := configKey{c.DesiredState.Value().Configuration.Value(), c.Session.Value()}
		config := group(byConfig, key, func() ConfigGroup {
			return ConfigGroup{Configuration: key.configuration, Session: key.session}
		})
		config.Nodes = append(config.Nodes, id)
	}
	b.Boots = ordered(boots, func(g *BootGroup) string { return g.Nodes[0] })
	b.Configs = ordered(byConfig, func(g *ConfigGroup) string { return g.Nodes[0] })
	b.Images = ordered(byImage, func(g *ImageGroup) string { return g.Nodes[0] })
}

type artifactKey struct{ kernel, parameters, initrd string }

func keyOf(a bos.BootArtifacts) artifactKey {
	return artifactKey{a.Kernel.Value(), a.KernelParameters.Value(), a.Initrd.Value()}
}

func group[K comparable, G any](groups map[K]*G, key K, fresh func() G) *G {
	g := groups[key]
	if g == nil {
		g = new(G)
		*g = fresh()
		groups[key] = g
	}
	return g
}

// ordered returns groups by the name of their first node, so that plans do not
// depend on the order of maps.
func ordered[K comparable, G any](groups map[K]*G, first func(*G) string) []G {
	out := make([]G, 0, len(groups))
	for _, g := range groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b G) int { return xname.Compare(first(&a), first(&b)) })
	return out
}

// projected reports whether the root file system comes by SBPS.
func projected(a bos.BootArtifacts) bool {
	for _, word := range strings.Fields(a.KernelParameters.Value()) {
		if strings.HasPrefix(word, sbpsRoot) {
			return true
		}
	}
	return false
}

// projectedImage returns the IMS image of a kernel, or why it can't be
// projected.
func projectedImage(kernel string) (id, problem string) {
	switch id = bos.ImageID(kernel); id {
	case "":
		return "", "no IMS image can be read from the kernel's path '" + kernel + "', so that SBPS can't project it"
	case "deleted":
		return "", "the kernel '" + kernel + "' belongs to an IMS image that was deleted, so that SBPS can't project it"
	}
	return id, ""
}
