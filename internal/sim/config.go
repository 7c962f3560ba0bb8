// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"log/slog"
	"time"
)

// MaxNodes is the largest number of compute nodes a site can have: the cabinets
// x1000 to x2999 hold no more.
const MaxNodes = 512000

// Flavour selects whose services are imitated where the two differ.
type Flavour uint8

// The flavours.
const (
	// Cray imitates the services of a CSM system.
	Cray Flavour = iota
	// OpenCHAMI imitates OpenCHAMI's SMD, BSS (on PostgreSQL) and PCS.
	OpenCHAMI
)

// String returns the lower-case name of the flavour.
func (f Flavour) String() string {
	if f == OpenCHAMI {
		return "openchami"
	}
	return "cray"
}

// FaultLevel says how many compute nodes get a random fault.
type FaultLevel uint8

// The fault levels.
const (
	// FaultsNone leaves all nodes healthy.
	FaultsNone FaultLevel = iota
	// FaultsSome breaks about 5 % of the nodes.
	FaultsSome
	// FaultsMany breaks about 25 % of the nodes.
	FaultsMany
)

// String returns "none", "some" or "many".
func (l FaultLevel) String() string {
	switch l {
	case FaultsSome:
		return "some"
	case FaultsMany:
		return "many"
	case FaultsNone:
	}
	return "none"
}

// ParseFaultLevel turns "none", "some" or "many" into a level. Anything else is
// an error that names the three.
func ParseFaultLevel(s string) (FaultLevel, error) {
	for _, l := range []FaultLevel{FaultsNone, FaultsSome, FaultsMany} {
		if l.String() == s {
			return l, nil
		}
	}
	return FaultsNone, fmt.Errorf("fault level %q is none of none, some, many", s)
}

// StateSource says what moves a node's State in HSM.
type StateSource uint8

// The sources of HSM's State.
const (
	// StateByFlavour is StateEvents for Cray and StateSweeps for OpenCHAMI.
	StateByFlavour StateSource = iota
	// StateFrozen never changes State, as where no events reach HSM.
	StateFrozen
	// StateEvents follows the hardware at once: On and Off with the power, Ready
	// when the node's operating system is up.
	StateEvents
	// StateSweeps lets PCS write On and Off after each sweep; a node that is
	// Ready stays Ready while it is powered.
	StateSweeps
)

// NoMatch says how HSM answers a lock query that no component matches.
type NoMatch uint8

// The answers to a lock query without a match.
const (
	// NoMatchByFlavour is NoMatchEmpty for Cray and NoMatchError for OpenCHAMI.
	NoMatchByFlavour NoMatch = iota
	// NoMatchEmpty answers 200 with an empty list.
	NoMatchEmpty
	// NoMatchError answers 400 "Component not found".
	NoMatchError
)

// TokenStore says whether BSS keeps the token that it returns.
type TokenStore uint8

// What becomes of the token of a BSS write.
const (
	// TokenByFlavour is TokenStored for Cray and TokenForgotten for OpenCHAMI.
	TokenByFlavour TokenStore = iota
	// TokenStored puts the token into the boot script.
	TokenStored
	// TokenForgotten returns a token that appears nowhere else.
	TokenForgotten
)

// Config describes a simulated site. The zero value is a usable small site.
type Config struct {
	// Nodes is the number of compute nodes, 1 to MaxNodes; 0 means 16 and more
	// than MaxNodes means MaxNodes. They fill cabinets from x1000 on: 8 chassis,
	// 8 slots each, 2 BMCs each, 2 nodes each. Two UANs and three management
	// nodes come on top.
	Nodes int
	// Seed feeds every random choice: the same seed gives the same layout, image
	// ids, faults and delays per node. Tokens and transition ids are always new.
	Seed uint64
	// TimeScale multiplies every delay, sweep, tick and deadline of the site;
	// 0 means 1, 0.01 is 100 times faster.
	TimeScale float64
	// Faults is how many nodes get a random fault. The kinds are dealt in turn,
	// so that each occurs once there are as many faulty nodes as kinds.
	Faults FaultLevel
	// Flavour selects whose services are imitated.
	Flavour Flavour
	// Delays overrides the faithful delays; zero fields keep them.
	Delays Delays
	// Logger gets what happens at the site; nil discards it.
	Logger *slog.Logger
	// Listen is the host that the servers listen on; "" means 127.0.0.1.
	Listen string
	// BasePort is the port of the first service (HSM), the others follow in the
	// order of Services; 0 lets the system choose each port.
	BasePort int

	// PoweredOn starts with all compute nodes and UANs switched on, running
	// something that does not report. Management nodes are on in any case.
	PoweredOn bool
	// HSMState says what moves State in HSM.
	HSMState StateSource
	// LocksNoMatch is HSM's answer to a lock query without a match.
	LocksNoMatch NoMatch
	// ManagementLocked locks the management nodes in HSM, as administrators do.
	ManagementLocked bool
	// ARMNodes, NodesWithoutArch and NodesWithUnknownArch give that many compute
	// nodes the HSM Arch ARM, no Arch at all, or UNKNOWN; the others have X86.
	// They are taken from the end of the list of nodes, in this order.
	ARMNodes             int
	NodesWithoutArch     int
	NodesWithUnknownArch int

	// LivePower makes PCS look at the hardware for every answer and decision
	// instead of at its cache.
	LivePower bool
	// NoSweepStretch keeps a silent BMC from delaying the sweep for all others.
	NoSweepStretch bool
	// NoReservations keeps PCS from reserving nodes, so that transitions never
	// conflict; locked nodes are refused all the same.
	NoReservations bool
	// PCSSeesBMCErrors makes a transition fail at once where a BMC answers with
	// an error; the real PCS notices nothing until the deadline.
	PCSSeesBMCErrors bool

	// BSSToken says whether BSS keeps the tokens that it returns.
	BSSToken TokenStore
	// BSSByMAC makes nodes ask for their boot script by MAC address, of a BSS
	// that does not know which xname has which MAC.
	BSSByMAC bool
	// BSSStopsWithClient ends a BSS write when its client goes away; the real one
	// carries on to the last host.
	BSSStopsWithClient bool

	// CFSConfigurations are the configurations that CFS knows; nil means that
	// every name exists.
	CFSConfigurations []string
	// CFSPageSize is the largest page of a CFS list; 0 means 1000.
	CFSPageSize int

	// BearerToken is required of every call where the flavour does so; "" means
	// that nothing is checked.
	BearerToken string
	// ReportWorkers is the number of nodes that talk to BOS at the same time;
	// 0 means 32.
	ReportWorkers int
}

// Delays are the times that the site takes, before scaling. A zero field means
// the default named with it, a negative one no delay at all. Ranges are spread
// evenly over the nodes by the seed.
type Delays struct {
	// On is the time from the BMC's command to power on (3 s).
	On time.Duration
	// SoftOffMin and SoftOffMax bound a graceful shutdown (4 s to 20 s).
	SoftOffMin, SoftOffMax time.Duration
	// ForceOff is the time that a forced power off takes (0.3 s).
	ForceOff time.Duration
	// BootMin and BootMax bound the time from the boot script to the first
	// report (60 s to 90 s).
	BootMin, BootMax time.Duration
	// ConfigureMin and ConfigureMax bound a CFS run (20 s to 40 s).
	ConfigureMin, ConfigureMax time.Duration
	// Sweep is the pause between the end of one PCS sweep and the next (30 s).
	Sweep time.Duration
	// SweepTime is how long a sweep takes while all BMCs answer (0.2 s).
	SweepTime time.Duration
	// StatusTimeout is how long PCS waits for a silent BMC (30 s).
	StatusTimeout time.Duration
	// Refusal is how long PCS tries a BMC that refuses connections (7 s).
	Refusal time.Duration
	// Tick is how often PCS looks at a running transition (15 s).
	Tick time.Duration
	// Gather is the time from a transition's creation to its commands (0.1 s).
	Gather time.Duration
	// BSSPerHost is what each host of a BSS write takes (1.3 ms for Cray, 0.6 ms
	// for OpenCHAMI).
	BSSPerHost time.Duration
}

// Services are the names of the simulated services, in the order of their ports.
func Services() []string {
	return []string{"hsm", "pcs", "bss", "cfs", "ims", "tapms", "s3"}
}

// withDefaults returns the configuration with every default filled in and the
// switches that depend on the flavour decided.
func (c Config) withDefaults() Config {
	if c.Nodes <= 0 {
		c.Nodes = 16
	}
	c.Nodes = min(c.Nodes, MaxNodes)
	if c.TimeScale <= 0 {
		c.TimeScale = 1
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1"
	}
	if c.CFSPageSize <= 0 {
		c.CFSPageSize = 1000
	}
	if c.ReportWorkers <= 0 {
		c.ReportWorkers = 32
	}
	open := c.Flavour == OpenCHAMI
	if c.HSMState == StateByFlavour {
		c.HSMState = pick(open, StateSweeps, StateEvents)
	}
	if c.LocksNoMatch == NoMatchByFlavour {
		c.LocksNoMatch = pick(open, NoMatchError, NoMatchEmpty)
	}
	if c.BSSToken == TokenByFlavour {
		c.BSSToken = pick(open, TokenForgotten, TokenStored)
	}
	perHost := pick(open, 600*time.Microsecond, 1300*time.Microsecond)
	c.Delays = c.Delays.scaled(c.TimeScale, perHost)
	return c
}

// scaled returns the delays in real time: defaults filled in, negative ones
// removed, everything multiplied by scale.
func (d Delays) scaled(scale float64, perHost time.Duration) Delays {
	set := func(v *time.Duration, def time.Duration) {
		switch {
		case *v == 0:
			*v = def
		case *v < 0:
			*v = 0
		}
		*v = scaleBy(*v, scale)
	}
	set(&d.On, 3*time.Second)
	set(&d.SoftOffMin, 4*time.Second)
	set(&d.SoftOffMax, 20*time.Second)
	set(&d.ForceOff, 300*time.Millisecond)
	set(&d.BootMin, 60*time.Second)
	set(&d.BootMax, 90*time.Second)
	set(&d.ConfigureMin, 20*time.Second)
	set(&d.ConfigureMax, 40*time.Second)
	set(&d.Sweep, 30*time.Second)
	set(&d.SweepTime, 200*time.Millisecond)
	set(&d.StatusTimeout, 30*time.Second)
	set(&d.Refusal, 7*time.Second)
	set(&d.Tick, 15*time.Second)
	set(&d.Gather, 100*time.Millisecond)
	set(&d.BSSPerHost, perHost)
	// A tick or sweep without any pause would keep the clock's goroutine busy
	// for ever.
	d.Sweep = max(d.Sweep, time.Microsecond)
	d.Tick = max(d.Tick, time.Microsecond)
	return d
}

func scaleBy(d time.Duration, scale float64) time.Duration {
	return time.Duration(float64(d) * scale)
}

func pick[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}
