// SPDX-License-Identifier: MIT

package sim

import (
	"net/http"
	"strings"
	"time"
)

// command is what PCS asks of a BMC, in Redfish's words.
type command uint8

// The commands.
const (
	commandOn command = iota
	commandGraceful
	commandForce
)

// String returns the word that PCS's descriptions use.
func (c command) String() string {
	switch c {
	case commandGraceful:
		return "gracefulshutdown"
	case commandForce:
		return "forceoff"
	case commandOn:
	}
	return "on"
}

// wanted is the power state that the command is to bring about.
func (c command) wanted() power { return pick(c == commandOn, powerOn, powerOff) }

// onDelay is how long node i takes to power on.
func (s *Site) onDelay(i int32) time.Duration {
	if n := &s.nodes[i]; n.has(FaultSlowPowerOn) {
		return s.scaled(n.fault.Delay)
	}
	return s.cfg.Delays.On
}

// softOffDelay is how long node i takes to shut down.
func (s *Site) softOffDelay(i int32) time.Duration {
	return s.spread(i, purposeSoftOff, s.cfg.Delays.SoftOffMin, s.cfg.Delays.SoftOffMax)
}

// bootDelay is how long node i boots.
func (s *Site) bootDelay(i int32) time.Duration {
	return s.spread(i, purposeBoot, s.cfg.Delays.BootMin, s.cfg.Delays.BootMax)
}

// reportDelay is how much later than its boot node i reports.
func (s *Site) reportDelay(i int32) time.Duration {
	if n := &s.nodes[i]; n.has(FaultReportsLate) {
		return s.scaled(n.fault.Delay)
	}
	return 0
}

// configureDelay is how long CFS takes for node i.
func (s *Site) configureDelay(i int32) time.Duration {
	return s.spread(i, purposeConfigure, s.cfg.Delays.ConfigureMin, s.cfg.Delays.ConfigureMax)
}

// obey lets the hardware react to a command that its BMC took. A command
// replaces what an earlier one has not finished. The lock must be held.
func (s *Site) obey(i int32, c command) {
	n := &s.nodes[i]
	var delay time.Duration
	switch c {
	case commandOn:
		if n.power == powerOn || n.changing && n.goingTo == powerOn || !s.switchesOn(n) {
			return
		}
		delay = s.onDelay(i)
	case commandGraceful:
		if n.power == powerOff || n.has(FaultSoftOffIgnored) || n.has(FaultForceOffIgnored) ||
			n.changing && n.goingTo == powerOff {
			return
		}
		delay = s.softOffDelay(i)
	case commandForce:
		if n.has(FaultForceOffIgnored) {
			return
		}
		delay = s.cfg.Delays.ForceOff
	}
	n.action++
	n.changing, n.goingTo = true, c.wanted()
	action := n.action
	s.after(delay, func() {
		if s.nodes[i].action == action {
			s.setPower(i, c.wanted())
		}
	})
}

// switchesOn reports whether the node reacts to an On.
func (s *Site) switchesOn(n *node) bool {
	if n.has(FaultNeverPowersOn) {
		return false
	}
	if n.has(FaultPowerOnFails) && n.failsLeft > 0 {
		n.failsLeft--
		return false
	}
	return true
}

// setPower ends a power action: a new life begins. The lock must be held.
func (s *Site) setPower(i int32, p power) {
	n := &s.nodes[i]
	n.changing = false
	if n.power == p {
		return
	}
	n.power = p
	n.life++
	n.changed = s.now()
	n.boot = bootState{}
	if s.cfg.HSMState == StateEvents {
		s.setStates([]int32{i}, pick(p == powerOn, stateOn, stateOff))
	}
	if p == powerOn {
		s.fetchScript(i, n.life)
	}
}

// The pauses of a node that gets no boot script, before scaling: BSS's own
// scripts say so.
const (
	scriptRetry   = 30 * time.Second
	scriptChained = 10 * time.Second
)

// fetchScript lets a node ask BSS for its boot script, and boot it. The lock
// must be held.
func (s *Site) fetchScript(i int32, life uint32) {
	n := &s.nodes[i]
	if n.life != life || n.power != powerOn || n.boot.entry != nil || n.has(FaultBootsNothing) {
		return
	}
	again := func(pause time.Duration) {
		s.after(s.scaled(pause), func() { s.fetchScript(i, life) })
	}
	if s.serviceFails("bss", http.MethodGet, "/boot/v1/bootscript", i) {
		again(scriptRetry)
		return
	}
	answer := s.bootScript(s.scriptRequest(i))
	cmdline, ok := commandLine(answer.script)
	if !ok {
		again(scriptChained)
		return
	}
	if !s.kernelExists(answer.entry.kernel) {
		again(scriptRetry)
		return
	}
	n.boot.entry = answer.entry
	n.boot.token = strings.Clone(parameter(cmdline, "bss_referral_token"))
	s.after(s.bootDelay(i), func() { s.isUp(i, life) })
}

// scriptRequest is how node i asks for its boot script.
func (s *Site) scriptRequest(i int32) scriptQuery {
	if s.cfg.BSSByMAC {
		return scriptQuery{mac: macOf(i)}
	}
	return scriptQuery{name: s.comps[i].id}
}

// commandLine returns the kernel command line of a boot script, false where the
// script boots nothing.
func commandLine(script string) (string, bool) {
	_, rest, ok := strings.Cut(script, "\nkernel --name kernel ")
	if !ok {
		return "", false
	}
	line, _, _ := strings.Cut(rest, "\n")
	line = strings.TrimSuffix(line, " || goto boot_retry")
	_, args, _ := strings.Cut(line, " ")
	return args, true
}

// parameter returns the value of the last key=value word of a command line.
func parameter(cmdline, key string) string {
	value := ""
	for word := range strings.FieldsSeq(cmdline) {
		if k, v, ok := strings.Cut(word, "="); ok && k == key && !strings.Contains(v, "=") {
			value = v
		}
	}
	return value
}

// isUp starts the services of a booted node: one reports to BOS, one to CFS.
// The lock must be held.
func (s *Site) isUp(i int32, life uint32) {
	n := &s.nodes[i]
	if n.life != life || n.boot.up {
		return
	}
	n.boot.up = true
	n.boot.at = s.now()
	if s.cfg.HSMState == StateEvents {
		s.setStates([]int32{i}, stateReady)
	}
	s.after(s.reportDelay(i), func() { s.startReporter(i, life) })
	s.tellCFS(i, life)
}

// serviceFails reports whether a service would fail a request of node i. Nodes
// ask in process, so that of all faults only those matter that leave them
// without an answer.
func (s *Site) serviceFails(name, method, path string, i int32) bool {
	f := s.services[name].failing.Load()
	if f == nil || f.MoreThan > 0 || !f.concerns(method, path, s.comps[i].id) {
		return false
	}
	switch f.Kind {
	case ServiceDown, ServiceReset, ServiceStatus, ServiceGarbage, ServiceHang, ServiceLost:
		return true
	case ServiceHealthy, ServiceSlow, ServiceHalf:
	}
	return false
}
