// SPDX-License-Identifier: MIT

// Package decide holds the decisions of the operators: one pure function each,
// from a set of components with what was observed to a plan. Nothing here
// knows a context, reads a clock or does I/O; the operators carry the plans
// out.
package decide

import (
	"slices"

	"bos/internal/bos"
	"bos/internal/xname"
)

// Power is the last look at a node's power.
type Power struct {
	// Seen says that there was a look; Since is the revision that the caller's
	// view had when the look began: it knows of every write up to that. At is
	// when it began.
	Seen  bool
	Since int64
	At    bos.Instant
	// Found is false if PCS did not answer for the node or does not know it.
	Found bool
	// State is PCS's word: on, off, undefined, invalid or empty.
	State string
	// Error is PCS's error for the node.
	Error string
}

// Off reports whether the power is surely off. Everything else, an unknown
// power included, counts as on.
func (p Power) Off() bool { return p.Found && p.Error == "" && p.State == "off" }

// Config is the last look at a node's configuration.
type Config struct {
	Seen  bool
	Since int64
	Found bool
	// Desired is the configuration that CFS is to apply, Status how far it is.
	Desired string
	Status  string
}

// Away says that a service gives no usable answer.
type Away struct {
	// Service is its name, Text what a waiting node shows.
	Service string
	Text    string
	// Next is when the service is asked again.
	Next bos.Instant
}

// Services are the services that are away, by name.
type Services map[string]Away

// first returns the first of the named services that is away.
func (s Services) first(names ...string) (Away, bool) {
	for _, name := range names {
		if a, away := s[name]; away {
			return a, true
		}
	}
	return Away{}, false
}

// The names of the services, as in errors, metrics and waits.
const (
	ServiceHSM = "hsm"
	ServicePCS = "pcs"
	ServiceBSS = "bss"
	ServiceCFS = "cfs"
	ServiceIMS = "ims"
)

// OnReservation is what a node waits for whose power is reserved or that is
// locked in HSM.
const OnReservation = "reservation"

// TextRetryLimit is the error of a node that used up its attempts without any
// service having said why.
const TextRetryLimit = "The retry limit has been hit for this component, but no services have reported specific errors"

// earlier returns the earlier of two instants, of which 0 is never.
func earlier(a, b bos.Instant) bos.Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// sortIDs orders ids as people count.
func sortIDs(ids []string) { slices.SortFunc(ids, xname.Compare) }

// batches cuts a list into pieces of at most size.
func batches(ids []string, size int) [][]string {
	return slices.Collect(slices.Chunk(ids, max(1, size)))
}
