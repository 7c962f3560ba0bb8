// SPDX-License-Identifier: MIT

package decide

import (
	"fmt"
	"slices"

	"bos/internal/bos"
)

// Happening is what an event says of all its nodes together. The type is empty
// if there is nothing to say.
type Happening struct {
	Type bos.EventType
	Text string
}

// StatusHappening says what an outcome of the status operator is to those who
// follow a component.
func StatusHappening(rec *bos.Record, outcome StatusOutcome) Happening {
	switch o := outcome.(type) {
	case Hold:
		return WaitHappening(o.Wait)
	case Set:
		return setHappening(rec, o)
	case Look, Rest:
	}
	return Happening{}
}

func setHappening(rec *bos.Record, set Set) Happening {
	c := &rec.Component
	status := set.Patch.Status.Value()
	if enabled, ok := set.Patch.Enabled.Get(); ok && !enabled {
		text := set.Patch.Error.Or(c.Error.Value())
		switch bos.StatusName(status.StatusOverride.Value()) {
		case bos.StatusFailed:
			if c.StatusNow() == bos.StatusFailed {
				// Who gave it up has said so.
				return Happening{}
			}
			return Happening{bos.EventFailed, text}
		case bos.StatusOnHold:
			return Happening{bos.EventFailed, text}
		default:
			return Happening{bos.EventSucceeded, arrived(c)}
		}
	}
	phase, moved := status.Phase.Get()
	if set.Patch.LastAction.Value().Failed.Value() && !moved {
		return Happening{bos.EventPhase, "pcs does not say that they are on; max_power_on_wait_time is over"}
	}
	if moved {
		return Happening{bos.EventPhase, entered(c.StatusNow(), phase)}
	}
	if w := rec.Sealed.Wait; set.EndWait && w != nil && isService(w.On) {
		return Happening{bos.EventServiceBack, "wait no longer for " + w.On}
	}
	return Happening{}
}

// arrived says where a component is that is done.
func arrived(c *bos.Component) string {
	switch {
	case c.WantsOff():
		return "are off, as they shall be"
	case c.DesiredState.Value().Configuration.Value() != "":
		return "run what they shall, and are configured"
	}
	return "run what they shall"
}

// entered says why a component came into another phase.
func entered(before bos.StatusName, phase bos.Phase) string {
	switch phase {
	case bos.PhasePoweringOn:
		return "are off, and are to be switched on"
	case bos.PhasePoweringOff:
		if before == bos.StatusPowerOnCalled {
			return "did not report what they shall run within max_boot_wait_time, and are to be shut down"
		}
		return "are on and do not run what they shall, and are to be shut down"
	case bos.PhaseConfiguring:
		return "reported that they run what they shall, and are to be configured"
	case bos.PhaseNone:
	}
	return "are in no phase any more"
}

// WaitHappening says that nodes wait, and for what.
func WaitHappening(w bos.Wait) Happening {
	if isService(w.On) {
		return Happening{bos.EventServiceAway, w.Text}
	}
	return Happening{bos.EventWaiting, w.Text}
}

func isService(name string) bool {
	return slices.Contains([]string{ServiceHSM, ServicePCS, ServiceBSS, ServiceCFS, ServiceIMS}, name)
}

// SentHappening says that PCS took a command.
func SentHappening(action bos.Action) Happening {
	return Happening{bos.EventAction, "pcs took the command " + action.Operation()}
}

// SetUpHappening says what a session wants of its nodes.
func SetUpHappening(s *bos.Session) Happening {
	text := "shall be booted"
	switch s.Operation {
	case bos.OperationReboot:
		text = "shall be rebooted"
	case bos.OperationShutdown:
		text = "shall be shut down"
	case bos.OperationBoot:
	}
	if s.Stage {
		text += " when what is staged on them is applied"
	}
	return Happening{bos.EventSetUp, text}
}

// DiscoveredHappening says that nodes are new.
func DiscoveredHappening() Happening {
	return Happening{bos.EventDiscovered, "are new: hsm has them, and BOS did not"}
}

// ExpiredHappening says that nodes have not reported for so long that nobody knows
// any more what they run.
func ExpiredHappening(opts bos.Options) Happening {
	return Happening{bos.EventReportExpired, fmt.Sprintf(
		"have not reported for %s (component_actual_state_ttl): what they run is not known any more", opts.ComponentActualStateTTL)}
}

// CompleteText says how a session ended for its nodes.
func CompleteText(nodes []*bos.Record) string {
	failed := 0
	for _, rec := range nodes {
		if rec.Component.StatusNow() == bos.StatusFailed {
			failed++
		}
	}
	return fmt.Sprintf("the session is complete: %s, %d failed", numberOf(len(nodes)), failed)
}

// RunningText says that a session runs with so many nodes; of further ones BOS has
// no components. paused says that it was paused while it was set up.
func RunningText(nodes, unknown int, paused bool) string {
	text := "the session runs with " + numberOf(nodes)
	if unknown > 0 {
		text += fmt.Sprintf("; %d more are left out, of which BOS has no components", unknown)
	}
	if paused {
		text += "; it was paused meanwhile, and nothing is done for them"
	}
	return text
}

func numberOf(nodes int) string {
	if nodes == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", nodes)
}
