// SPDX-License-Identifier: MIT

package operator

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"bos/internal/clock"
	"bos/internal/decide"
)

// gatesFor runs a test with gates behind which a service has been away long
// enough to be tried again.
func gatesFor(t *testing.T, service string, patience time.Duration, f func(t *testing.T, g *gates)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newGates(clock.New(1), func(string) time.Duration { return patience })
		g.failed(gateKey{service, true}, time.Now(), errors.New("no answer"))
		time.Sleep(firstBackoff)
		f(t, g)
	})
}

// mayTry reports whether a command may try a service now.
func mayTry(t *testing.T, g *gates, service string) bool {
	t.Helper()
	away, probes := g.now(g.clock.Now())
	if _, is := away[service]; is == probes[service] {
		t.Errorf("away %v, to be tried %v", is, probes[service])
	}
	return probes[service]
}

func TestOneCommandTriesAService(t *testing.T) {
	gatesFor(t, decide.ServicePCS, 0, func(t *testing.T, g *gates) {
		if !mayTry(t, g, decide.ServicePCS) {
			t.Error("nobody may try")
		}
		since := g.trying([]string{decide.ServicePCS})
		time.Sleep(time.Minute)
		if mayTry(t, g, decide.ServicePCS) {
			t.Error("a second one may try beside the first")
		}
		if !g.tried([]string{decide.ServicePCS}, since) || !mayTry(t, g, decide.ServicePCS) {
			t.Error("the next one may not try after the first")
		}
	})
}

func TestAnotherCommandTriesWhenPatienceIsOver(t *testing.T) {
	gatesFor(t, decide.ServiceCFS, minPatience, func(t *testing.T, g *gates) {
		g.trying([]string{decide.ServiceCFS})
		time.Sleep(minPatience - 1)
		if mayTry(t, g, decide.ServiceCFS) {
			t.Error("a second one may try too soon")
		}
		time.Sleep(time.Nanosecond)
		if !mayTry(t, g, decide.ServiceCFS) {
			t.Error("nobody else may try")
		}
	})
}

// The end of a command that others no longer wait for does not keep them from
// trying, and lets nobody in beside the next one.
func TestOnlyTheLastCommandThatTriesCounts(t *testing.T) {
	key := gateKey{decide.ServiceCFS, true}
	gatesFor(t, key.service, minPatience, func(t *testing.T, g *gates) {
		first := g.trying([]string{key.service})
		asked := time.Now()
		time.Sleep(minPatience)
		g.trying([]string{key.service})
		time.Sleep(time.Second)
		g.failed(key, asked, errors.New("no answer"))
		if g.tried([]string{key.service}, first) || mayTry(t, g, key.service) {
			t.Error("a third one may try at once")
		}
		away, _ := g.now(g.clock.Now())
		if wait := away[key.service].Next.Sub(g.clock.Now()); wait != minPatience-time.Second {
			t.Errorf("others wait %v", wait)
		}
		time.Sleep(minPatience - time.Second)
		if !mayTry(t, g, key.service) {
			t.Error("no third one may try")
		}
	})
}

func TestAnotherCommandTriesAtASignOfLife(t *testing.T) {
	gatesFor(t, decide.ServicePCS, 0, func(t *testing.T, g *gates) {
		g.trying([]string{decide.ServicePCS})
		g.retry(decide.ServicePCS)
		if !mayTry(t, g, decide.ServicePCS) {
			t.Error("nobody else may try")
		}
	})
}

// What was asked before a service came back and is not answered says nothing of
// how it is now.
func TestALateFailureDoesNotShutAGate(t *testing.T) {
	key := gateKey{decide.ServicePCS, true}
	gatesFor(t, key.service, 0, func(t *testing.T, g *gates) {
		asked := time.Now()
		time.Sleep(time.Second)
		if !g.answered(key, time.Now()) {
			t.Error("it was not away")
		}
		wait := g.failed(key, asked, errors.New("no answer"))
		if away, probes := g.now(g.clock.Now()); len(away)+len(probes) > 0 {
			t.Errorf("away %v, to be tried %v", away, probes)
		}
		if wait.Service != key.service || wait.Text == "" || wait.Next <= g.clock.Now() {
			t.Errorf("%+v", wait)
		}
		time.Sleep(time.Second)
		g.failed(key, time.Now(), errors.New("no answer"))
		if mayTry(t, g, key.service) {
			t.Error("a new failure counts for nothing")
		}
	})
}
