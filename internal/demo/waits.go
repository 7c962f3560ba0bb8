// SPDX-License-Identifier: MIT

package demo

import (
	"fmt"
	"time"

	"bos/internal/sim"
)

// waits are how long BOS and the demonstration wait for hardware, on the
// fleet's clock: real time divided by the time scale.
type waits struct {
	// attempts, on, off and boot are options of BOS.
	attempts      int
	on, off, boot time.Duration
	// stuck is how long nothing may change about a node until it is given up:
	// longer than any of the others.
	stuck time.Duration
	// held is how long somebody else holds a node: not as long as the first
	// operation takes where nodes are broken.
	held time.Duration
}

// What the slowest hardware takes that still makes it, before scaling: with a
// controller that hangs, PCS looks at the power once a minute and shows it half
// a minute later.
const (
	slowestLook    = 90 * time.Second
	slowestOn      = 45*time.Second + slowestLook
	slowestOff     = 20*time.Second + slowestLook
	slowestBoot    = 150*time.Second + slowestLook
	slowestNothing = 100 * time.Second
)

// The time that the machine gets which runs the demonstration, in real time:
// its work doesn't scale. Only where nodes fail does it cost to be patient. How
// long the start takes says how slow the machine is at the moment.
const (
	slack         = 2 * time.Second
	slackPerNode  = 4 * time.Millisecond
	slackPerStart = 4
	// healthySlack is how many times as much there is where no node fails.
	healthySlack = 8
)

// waitsFor returns the waits that suit a demonstration: as short as they may be
// where nodes are broken, so that BOS gives them up soon. started is how long it
// took until BOS knew all nodes.
func waitsFor(cfg Config, started time.Duration) waits {
	work := max(slack+time.Duration(cfg.Nodes)*slackPerNode, slackPerStart*started)
	if cfg.Faults == sim.FaultsNone {
		work *= healthySlack
	}
	spare := time.Duration(float64(work) / cfg.TimeScale)
	w := waits{attempts: 2, on: slowestOn + spare, off: slowestOff + spare, boot: slowestBoot + spare}
	w.stuck, w.held = max(w.on, w.off, w.boot)+spare+slowestNothing, w.on.Round(time.Second)
	return w
}

// longestWait is the largest value of those options, in seconds.
const longestWait = 1048576

// options returns the PATCH of BOS's options.
func (w waits) options() map[string]any {
	whole := func(d time.Duration) int { return min(int((d+time.Second-1)/time.Second), longestWait) }
	return map[string]any{
		"default_retry_policy":    w.attempts,
		"max_power_on_wait_time":  whole(w.on),
		"max_power_off_wait_time": whole(w.off),
		"max_boot_wait_time":      whole(w.boot),
	}
}

// String says what the options are, for people.
func (w waits) String() string {
	o := w.options()
	return fmt.Sprintf("default_retry_policy %d, max_power_on_wait_time %d, max_boot_wait_time %d, max_power_off_wait_time %d",
		o["default_retry_policy"], o["max_power_on_wait_time"], o["max_boot_wait_time"], o["max_power_off_wait_time"])
}
