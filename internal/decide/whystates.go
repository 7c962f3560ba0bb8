// SPDX-License-Identifier: MIT

package decide

import (
	"fmt"
	"time"

	"bos/internal/bos"
)

// notDriven explains a component that is not enabled.
func (e *explanation) notDriven() {
	text := e.c.Error.Value()
	switch e.status {
	case bos.StatusFailed:
		e.failed(text)
	case bos.StatusOnHold:
		if text == "" {
			text = "somebody disabled it before BOS had looked at it"
		}
		e.is(bos.TurnAdministrator, e.acted(), "It was taken out of its session: %s", text)
		switch text {
		case textNotInPCS:
			e.unstick("find out why pcs does not list its power: is it powered, is its controller in hsm and reachable")
		case textNotInCFS:
			e.unstick("find out why cfs has no component of it")
		}
		e.again()
	case bos.StatusStable:
		e.atRest()
	default:
		e.is(bos.TurnAdministrator, e.acted(), "It was disabled while it was %s, and nobody acts on it", e.status)
		e.unstick("enable it, and BOS goes on with it")
		e.unstick("or start it again with a session that has the limit %s", e.id)
	}
}

// failed explains a component that BOS has given up.
func (e *explanation) failed(text string) {
	switch text {
	case "":
		text = "no reason was noted"
	case TextRetryLimit:
		switch {
		case e.fetched():
			e.unstick("no service gave a reason, but it fetched its boot script %s: look at its console, whether it gets kernel, initrd and root file system",
				at(e.in.Script.At))
			e.checkReporter()
		case e.scriptKnown():
			e.unstick("no service gave a reason, and it has not fetched its boot script since %s: look at its console and its power", e.bootText())
			e.noNetwork()
		default:
			e.unstick("no service gave a reason: look at its console, its power and its controller")
		}
	case textConfigFailed:
		e.unstick("look at the log of its session in cfs, and mend the configuration or the node")
	default:
		e.unstick("mend what the error says")
	}
	by := ""
	if service := e.refuser(); service != "" {
		by = ", by the word of " + service
	}
	e.is(bos.TurnAdministrator, e.acted(), "BOS has given it up%s: %s", by, text)
	e.again()
}

// atRest explains a component of which nothing is to be done.
func (e *explanation) atRest() {
	stage := e.in.Record.AwaitedStage().Name
	cleaned := e.c.LastAction.Value().Action.Value() == bos.ActionActualStateCleanup
	switch {
	case stage != "":
		e.is(bos.TurnNobody, stamped(e.c.StagedState.Value().LastUpdated),
			"Nothing is done with it until what the session %s staged on it is applied", stage)
		e.unstick("apply what is staged (bos applystaged create --xnames %s), as the workload manager does between jobs", e.id)
	case e.c.Error.Value() != "":
		e.is(bos.TurnAdministrator, e.acted(), "Nothing is done with it, and it shows an error: %s", e.c.Error.Value())
		e.unstick("mend what the error says")
		e.again()
	case e.c.WantsOff() && e.Session == "":
		e.is(bos.TurnNobody, e.acted(), "Nothing is wanted of it: it has no desired state and no session")
	case e.c.WantsOff():
		e.is(bos.TurnNobody, e.acted(), "It is where it shall be: off, by the session %s", e.Session)
	case e.runs():
		e.is(bos.TurnNobody, e.reportedAt(), "It is where it shall be: it reported %s that it runs what is wanted", at(e.reportedAt()))
	case cleaned:
		e.is(bos.TurnNode, e.acted(), "Its last report was older than %s (component_actual_state_ttl), so nobody knows what it runs",
			e.in.Options.ComponentActualStateTTL)
		e.unstick("see whether it is up and its state reporter runs and reaches the API")
	case reported(e.c):
		e.is(bos.TurnAdministrator, e.reportedAt(), "It is disabled and reported something else than its desired state")
		e.again()
	default:
		e.is(bos.TurnAdministrator, stamped(e.c.DesiredState.Value().LastUpdated),
			"It is disabled and has not reported what its desired state is")
		e.again()
	}
}

// stopped explains a component whose session is paused, or being cancelled.
func (e *explanation) stopped() {
	began := e.wall(e.in.Session.Sealed.StoppedAt)
	if e.in.Session.Sealed.Cancelled {
		e.is(RoleStatus, began, "It is %s, and its session '%s' is being cancelled: nothing more is done with it", e.status, e.Session)
		e.unstick("nothing: it is disabled in a moment")
		return
	}
	e.is(bos.TurnAdministrator, began, "It is %s, and its session '%s' is paused%s: nothing is done with it until that is resumed",
		e.status, e.Session, since(began))
	e.unstick("resume the session (bos sessions resume %s), or cancel it (bos sessions cancel %s)", e.Session, e.Session)
}

// waits explains a component that waits for something that BOS can't do.
func (e *explanation) waits(w *bos.Wait) {
	began := e.wall(w.Since)
	e.next(w.Due)
	switch w.On {
	case OnReservation:
		e.is(ServiceHSM, began, "It is locked or reserved in hsm by somebody else%s, so BOS does not touch its power", since(began))
		e.unstick("find out in hsm who holds its lock or reservation (a firmware update, another power command, an administrator) and have it released")
	case OnRecordInHSM:
		e.is(ServiceHSM, began, "HSM has no record of it%s, and BOS switches no node that HSM does not know", since(began))
		e.unstick("have hsm discover it, or delete the component if the node is gone")
	case bos.OnResume:
		e.is(bos.TurnAdministrator, began, "Its session '%s' is paused%s, and BOS does nothing for it until that is resumed", e.c.Session.Value(), since(began))
		e.unstick("resume the session (bos sessions resume %s), or cancel it (bos sessions cancel %s)", e.Session, e.Session)
	case OnPowerLimit:
		e.is(RolePowerOn, began, "It waits%s for its turn to be switched on: as many others are on their way as the site allows", since(began))
		e.unstick("nothing: its turn comes; the limits are bosd's power-on-rate and power-on-in-flight")
	default:
		e.is(w.On, began, "It waits%s for %s, which does not answer as it has to; %s goes on by itself when it does", since(began), w.On, w.By)
		e.unstick("bring %s back: BOS asks it again every few seconds and needs no help then", w.On)
	}
}

// driven explains an enabled component that waits for nothing else.
func (e *explanation) driven() {
	switch e.status {
	case bos.StatusOnHold:
		e.onHold()
	case bos.StatusPowerOnPending:
		e.powerOnPending()
	case bos.StatusPowerOnCalled:
		e.powerOnCalled()
	case bos.StatusPowerOffPending:
		e.powerOffPending()
	case bos.StatusPowerOffGracefullyCalled, bos.StatusPowerOffForcefullyCalled:
		e.powerOffCalled()
	case bos.StatusConfiguring:
		e.configuring()
	case bos.StatusFailed:
		e.is(RoleStatus, e.acted(), "BOS has given it up and is about to disable it: %s", e.c.Error.Value())
	case bos.StatusStable:
		e.is(RoleStatus, e.acted(), "It is enabled and BOS is about to look at what has to be done")
	default:
		e.is(bos.TurnAdministrator, e.acted(), "A client has set its status to %s, which says nothing to BOS", e.status)
		e.unstick("clear its status_override")
	}
	e.checkOperator()
}

func (e *explanation) onHold() {
	began := e.acted()
	if away, is := e.in.Away.first(ServicePCS, ServiceCFS); is {
		e.is(away.Service, began, "It is on hold%s until BOS has looked at it, and %s does not answer", since(began), away.Service)
		e.unstick("bring %s back", away.Service)
		e.next(away.Next)
		return
	}
	e.is(RoleStatus, began, "It is on hold%s until BOS has looked at its power and its configuration", since(began))
}

func (e *explanation) powerOnPending() {
	began := e.acted()
	switch p := e.in.Power; {
	case e.in.Open != nil:
		e.is(ServicePCS, began, "It is to be switched on, but PCS is not done with its former command")
		e.unstick("see in pcs why the transition does not end; BOS waits at most %v for it", MaxOpen)
	case p.Seen && !p.Off():
		e.is(ServicePCS, e.wall(p.At), "It is to be switched on, but pcs does not say that it is off: its power is %s", orUnknown(p.State))
		e.unstick("see in pcs and at its controller what its power is")
	case e.c.LastAction.Value().Failed.Value():
		e.is(RolePowerOn, began, "It did not come on (%s), and is about to be tried again", e.attempts(bos.ActionPoweringOn))
	default:
		e.is(RolePowerOn, began, "It is off and about to be switched on")
	}
}

// MaxOpen is how long BOS waits for PCS to be done with a transition: far longer
// than PCS gives one.
const MaxOpen = 10 * time.Minute

// powerOnCalled explains a node that was switched on and has not reported.
func (e *explanation) powerOnCalled() {
	began, acted, opts := e.acted(), e.in.Record.Sealed.ActionAt, e.in.Options
	tries := e.attempts(bos.ActionPoweringOn)
	offEnd, bootEnd := acted.Add(opts.MaxPowerOnWait()), acted.Add(opts.MaxBootWait())
	switch service := e.refuser(); {
	case service != "":
		e.is(service, began, "%s did not let it be switched on %s (%s); BOS tries again %s",
			service, at(began), tries, at(e.wall(offEnd)))
		e.unstick("mend what the error says: %s", e.c.Error.Value())
		e.next(offEnd)
	case e.in.Power.Off():
		e.is(ServicePCS, began, "It was switched on %s (%s), and pcs still says that it is off; BOS tries again %s",
			at(began), tries, at(e.wall(offEnd)))
		e.unstick("see at its controller whether it has power and obeys")
		e.unstick("slow hardware needs a larger max_power_on_wait_time (%v now)", opts.MaxPowerOnWait())
		e.next(offEnd)
	case e.runs():
		e.is(RoleStatus, e.reportedAt(), "It reported %s that it runs what it shall, and BOS is about to see to the rest", at(e.reportedAt()))
	case reported(e.c) && !e.in.Record.Sealed.Restart:
		e.is(bos.TurnNode, e.reportedAt(), "It was switched on %s (%s), and reported something else than it shall run; BOS switches it off %s",
			at(began), tries, at(e.wall(bootEnd)))
		e.unstick("see in bss whether somebody replaced its boot parameters, and on its console what it booted")
		e.unstick("see that its state reporter sends the token of the boot (bss_referral_token in /proc/cmdline), not that of a former one")
		e.next(bootEnd)
	default:
		e.silent(fmt.Sprintf("It was switched on %s (%s)", at(began), tries), at(e.wall(bootEnd)))
		e.next(bootEnd)
	}
}

// silent explains a node that was switched on and does not report: what it has
// fetched says how far it came.
func (e *explanation) silent(switchedOn, giveUp string) {
	began, script := e.acted(), e.in.Script
	switch {
	case e.fetched():
		e.is(bos.TurnNode, began, "%s, fetched its boot script %s, %s, and has not reported since; BOS gives that up %s",
			switchedOn, at(script.At), e.ago(script.At), giveUp)
		e.unstick("it reaches the network and bss; look at its console, whether it gets kernel, initrd and root file system")
		e.checkReporter()
	case e.scriptKnown():
		e.is(bos.TurnNode, began, "%s, %s, and has not fetched its boot script since then; BOS gives that up %s",
			switchedOn, e.ago(began), giveUp)
		e.noScript()
	default:
		e.is(bos.TurnNode, began, "%s, BSS has its boot script%s, and the node has not reported; BOS gives that up %s",
			switchedOn, since(began), giveUp)
		e.unstick("look at its console: does it get an address and its boot script from bss, kernel, initrd and root file system")
		e.checkReporter()
	}
	e.unstick("slow images need a larger max_boot_wait_time (%v now)", e.in.Options.MaxBootWait())
}

// noScript says what to look at if a node does not fetch its boot script.
func (e *explanation) noScript() {
	e.unstick("nothing yet if its firmware still tests the hardware, which takes minutes; its console shows that")
	e.noNetwork()
}

// noNetwork says what keeps a node from its boot script.
func (e *explanation) noNetwork() {
	e.unstick("see on its console whether it boots from the network, gets an address (DHCP), and reaches bss")
	e.unstick("does hsm know the MAC address of the interface that it boots from: bss gives no boot script to others")
}

// checkReporter says what to look at if a node boots and does not report.
func (e *explanation) checkReporter() {
	e.unstick("if it is up: does its state reporter run (systemctl status bos-reporter), and is bss_referral_token in its /proc/cmdline")
	e.unstick("if the reporter runs: does it reach the API, with a token that the API accepts (its journal says so)")
}

func (e *explanation) powerOffPending() {
	if e.in.Open != nil {
		e.is(ServicePCS, e.acted(), "It is to be shut down, but PCS is not done with its former command")
		e.unstick("see in pcs why the transition does not end; BOS waits at most %v for it", MaxOpen)
		return
	}
	e.is(RolePowerOffGraceful, e.acted(), "It is on and does not run what it shall, so it is about to be shut down")
}

// powerOffCalled explains a node that was told to go off and is not seen to be.
func (e *explanation) powerOffCalled() {
	began := e.acted()
	end := e.in.Record.Sealed.ActionAt.Add(e.in.Options.MaxPowerOffWait())
	e.next(end)
	if service := e.refuser(); service != "" {
		e.is(service, began, "%s did not let it be switched off %s; BOS forces it %s", service, at(began), at(e.wall(end)))
		e.unstick("mend what the error says: %s", e.c.Error.Value())
		return
	}
	if e.status == bos.StatusPowerOffForcefullyCalled {
		e.is(ServicePCS, began, "Its power was cut %s (%s), and it is not seen to be off; BOS tries again %s",
			at(began), e.attempts(bos.ActionPoweringOffForcefully), at(e.wall(end)))
		e.unstick("see at its controller whether it obeys")
		return
	}
	e.is(bos.TurnNode, began, "It was asked to shut down %s and is not off; BOS cuts its power %s", at(began), at(e.wall(end)))
	e.unstick("nothing, as a rule: it is forced off then; on its console it says what it waits for")
}

// configuring explains a node that runs what it shall and is not configured. It
// goes on reporting, so that its last report does not say since when.
func (e *explanation) configuring() {
	began, want := e.acted(), e.c.DesiredState.Value().Configuration.Value()
	runs := "It runs what it shall, as it reported " + at(e.reportedAt())
	config := e.in.Config
	switch {
	case e.in.NoCFS || !config.Seen:
		e.is(RoleStatus, began, "%s, and BOS looks whether it is configured", runs)
	case !config.Found:
		e.is(ServiceCFS, began, "%s, but cfs does not know it", runs)
		e.unstick("find out why cfs has no component of it")
	case config.Desired != want:
		e.is(RoleConfiguration, began, "%s, and CFS is about to be told its configuration '%s'", runs, want)
	default:
		e.is(ServiceCFS, began, "%s, and CFS has not configured it with '%s' yet: %s", runs, want, orUnknown(config.Status))
		e.unstick("look at cfs: does a session of its run for this node, and what does its log say")
	}
}
