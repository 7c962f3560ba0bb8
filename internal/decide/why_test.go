// SPDX-License-Identifier: MIT

package decide_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/decide"
)

var wallNow = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// Secrets that no explanation may show.
const (
	secretParameters = "console=ttyS0 spire_join_token=7c9e6679"
	secretToken      = "d9b2d63d-a233-4123-847a-7c1a4b1e7f3a"
)

// tell gives a node all that must not be told.
func (n *node) tell() *bos.Record {
	hide := func(a bos.BootArtifacts) bos.Opt[bos.BootArtifacts] {
		if a.Kernel.Value() != "" {
			a.KernelParameters = bos.Some(secretParameters)
		}
		return bos.Some(a)
	}
	c := &n.rec.Component
	d, a := c.DesiredState.Value(), c.ActualState.Value()
	d.BootArtifacts, d.BSSToken = hide(c.DesiredArtifacts()), bos.Some(secretToken)
	a.BootArtifacts, a.BSSToken = hide(a.BootArtifacts.Value()), bos.Some(secretToken)
	c.DesiredState, c.ActualState = bos.Some(d), bos.Some(a)
	return &n.rec
}

func (n *node) disabled() *node { n.rec.Component.Enabled = bos.Some(false); return n }

func (n *node) reportedAt(t time.Time) *node {
	a := n.rec.Component.ActualState.Value()
	a.LastUpdated = bos.Some(bos.Timestamp(t))
	n.rec.Component.ActualState = bos.Some(a)
	return n
}

func (n *node) noSession() *node { n.rec.Component.Session = bos.Some(""); return n }

func (n *node) staged(session string) *node {
	n.rec.Component.StagedState = bos.Some(bos.StagedState{Session: bos.Some(session)})
	return n
}

func (n *node) waitsSince(by, on, text string, since, due bos.Instant) *node {
	n.rec.Sealed.Wait = &bos.Wait{By: by, On: on, Text: text, Since: since, Due: due}
	return n.err(text)
}

// booting is a node that was switched on at recent.
func booting() *node {
	return newNode().wants("a", "c").phase(bos.PhasePoweringOn).did(bos.ActionPoweringOn, recent).
		commanded(bos.ActionPoweringOn, recent).attempts(1, 0, 0)
}

// script is what BSS says of the node's boot script.
func script(at time.Time) decide.BootScript { return decide.BootScript{Asked: true, At: at} }

func TestWhy(t *testing.T) {
	type said struct{ service, text string }
	const (
		then     = "2026-11-23T09:59:59Z" // recent
		bootEnd  = "2026-11-23T10:19:59Z"
		onEnd    = "2026-11-23T10:01:59Z"
		offEnd   = "2026-11-23T10:04:59Z"
		none     = ""
		reserved = "waiting for a lock or a reservation of this node in hsm to be released"
	)
	open := &bos.Attempt{ID: "attempt", Transitions: []string{"tr-1"}}
	tests := []struct {
		name               string
		n                  *node
		in                 decide.WhyInput
		status             bos.StatusName
		turn, since        string
		summary, next      string
		unstick            []string
		said               []said
		sessionGone, NoCFS bool
		stopped            bos.SessionSealed
	}{
		{name: "paused", n: booting(), in: decide.WhyInput{Power: on}, stopped: bos.SessionSealed{Paused: true, StoppedAt: recent}, status: "power_on_called",
			turn: "administrator", since: then,
			summary: "session 's' is paused since 2026-11-23 09:59:59 UTC", unstick: []string{"bos sessions resume s"}},
		{name: "being cancelled", n: booting(), in: decide.WhyInput{Power: on}, stopped: bos.SessionSealed{Cancelled: true}, status: "power_on_called",
			turn: "status", summary: "being cancelled", unstick: []string{"disabled in a moment"}},
		{name: "never reports", n: booting(), in: decide.WhyInput{Power: on}, status: "power_on_called", turn: "node", since: then, next: bootEnd,
			summary: "switched on at 2026-11-23 09:59:59 UTC (attempt 1 of 3), BSS has its boot script since 2026-11-23 09:59:59 UTC, and the node has not reported; BOS gives that up at 2026-11-23 10:19:59 UTC",
			unstick: []string{"console", "bss_referral_token", "state reporter", "max_boot_wait_time (20m0s now)"},
			said: []said{
				{"bss", "took its boot script: kernel s3://boot-images/a/kernel"}, {"pcs", "took the command On"},
				{"pcs", "its power is on"}, {"node", "has not reported"},
			}},
		{name: "fetched its boot script, never reports", n: booting(), in: decide.WhyInput{Power: on, Script: script(wallNow.Add(-time.Second))},
			status: "power_on_called", turn: "node", since: then, next: bootEnd,
			summary: "(attempt 1 of 3), fetched its boot script at 2026-11-23 09:59:59 UTC, 1 second ago, and has not reported since; BOS gives that up at 2026-11-23 10:19:59 UTC",
			unstick: []string{"reaches the network and bss", "bss_referral_token", "state reporter", "max_boot_wait_time"},
			said:    []said{{"bss", "gave it its boot script"}}},
		{name: "fetched its boot script for the boot before", n: booting(), in: decide.WhyInput{Power: on, Script: script(wallNow.Add(-time.Hour))},
			status: "power_on_called", turn: "node", since: then, next: bootEnd, summary: "1 second ago, and has not fetched its boot script since then",
			unstick: []string{"firmware", "DHCP", "MAC address"}, said: []said{{"bss", "for the last time, before it was switched on"}}},
		{name: "never fetched its boot script", n: booting(), in: decide.WhyInput{Power: on, Script: script(time.Time{})},
			status: "power_on_called", turn: "node", since: then, next: bootEnd, summary: "has not fetched its boot script since then; BOS gives that up at",
			unstick: []string{"firmware", "DHCP", "MAC address"}, said: []said{{"bss", "has never given it a boot script"}}},
		{name: "bss does not say", n: booting(), in: decide.WhyInput{Power: on, Script: decide.BootScript{Asked: true, Problem: "bss is not available: connection refused"}},
			status: "power_on_called", turn: "node", since: then, next: bootEnd, summary: "BSS has its boot script since", unstick: []string{"look at its console"},
			said: []said{{"bss", "does not say when it last fetched its boot script: bss is not available: connection refused"}}},
		{name: "never reports, seen by nobody here", n: booting(), status: "power_on_called", turn: "node", since: then, next: bootEnd, summary: "has not reported"},
		{name: "does not come on", n: booting(), in: decide.WhyInput{Power: off}, status: "power_on_called", turn: "pcs", since: then, next: onEnd,
			summary: "pcs still says that it is off", unstick: []string{"controller", "max_power_on_wait_time (2m0s now)"}},
		{name: "wrong artifacts", n: booting().runs("b").reportedAt(wallNow.Add(-time.Second)), in: decide.WhyInput{Power: on}, status: "power_on_called",
			turn: "node", since: then, next: bootEnd, summary: "reported something else than it shall run", unstick: []string{"in bss", "bss_referral_token"},
			said: []said{{"node", "reported something else than it shall run: kernel s3://boot-images/b/kernel"}}},
		{name: "has reported this moment", n: booting().runs("a").reportedAt(wallNow.Add(-time.Second)), in: decide.WhyInput{Power: on},
			status: "power_on_called", turn: "status", since: then, summary: "is about to see to the rest"},
		{name: "refused by bss", n: booting().err("bss refused the boot parameters: bad host"), in: decide.WhyInput{Power: off}, status: "power_on_called",
			turn: "bss", since: then, next: onEnd, summary: "bss did not let it be switched on", unstick: []string{"bad host"},
			said: []said{{"bss", "bad host"}}},
		{name: "to be restarted, still says what it ran", n: booting().runs("a").restart(), in: decide.WhyInput{Power: on}, status: "power_on_called",
			turn: "node", since: then, next: bootEnd, summary: "has not reported"},

		{name: "about to be switched on", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).did(bos.ActionSessionSetup, recent),
			in: decide.WhyInput{Power: off}, status: "power_on_pending", turn: "power-on", since: then, summary: "about to be switched on",
			unstick: []string{"the operator power-on"}},
		{name: "tried again", n: booting().failedAction(), in: decide.WhyInput{Power: off}, status: "power_on_pending", turn: "power-on", since: then,
			summary: "did not come on (attempt 1 of 3)"},
		{name: "its power is not off", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).did(bos.ActionSessionSetup, recent),
			in:     decide.WhyInput{Power: decide.Power{Seen: true, Found: true, State: "undefined", At: recent}},
			status: "power_on_pending", turn: "pcs", since: then, summary: "its power is undefined", unstick: []string{"controller"}},
		{name: "its former command is open", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).did(bos.ActionPoweringOffGracefully, recent).
			commanded(bos.ActionPoweringOffGracefully, recent), in: decide.WhyInput{Power: off, Open: open},
			status: "power_on_pending", turn: "pcs", since: then, summary: "not done with its former command",
			unstick: []string{"10m0s"}, said: []said{{"pcs", "took the command Soft-Off and is not done with it: transition tr-1"}}},
		{name: "locked", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).waitsSince("power-on", decide.OnReservation, reserved, recent, now+5000),
			status: "power_on_pending", turn: "hsm", since: then, next: "2026-11-23T10:00:05Z", summary: "locked or reserved in hsm",
			unstick: []string{"have it released"}, said: []said{{"hsm", reserved}}},
		{name: "not in hsm", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).waitsSince("power-on", decide.OnRecordInHSM, "hsm does not know", recent, 0),
			status: "power_on_pending", turn: "hsm", since: then, summary: "HSM has no record", unstick: []string{"discover it"}},
		{name: "pcs away", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).waitsSince("power-on", "pcs", "waiting for pcs, which has not answered", recent, now+1000),
			in: decide.WhyInput{Away: pcsAway}, status: "power_on_pending", turn: "pcs", since: then, next: "2026-11-23T10:00:01Z",
			summary: "waits since 2026-11-23 09:59:59 UTC for pcs", unstick: []string{"bring pcs back"}, said: []said{{"pcs", "pcs is away"}}},
		{name: "power limit", n: newNode().wants("a", "c").phase(bos.PhasePoweringOn).waitsSince("power-on", decide.OnPowerLimit, "waiting for its turn", recent, 0),
			status: "power_on_pending", turn: "power-on", since: then, summary: "its turn to be switched on", unstick: []string{"power-on-rate"}},

		{name: "on hold", n: newNode().wants("a", "c").override("on_hold").did(bos.ActionSessionSetup, recent), status: "on_hold", turn: "status", since: then,
			summary: "on hold since"},
		{name: "on hold, pcs away", n: newNode().wants("a", "c").override("on_hold").did(bos.ActionSessionSetup, recent), in: decide.WhyInput{Away: pcsAway},
			status: "on_hold", turn: "pcs", since: then, next: "2026-11-23T10:00:00Z", summary: "pcs does not answer", unstick: []string{"bring pcs back"}},
		{name: "about to be shut down", n: newNode().phase(bos.PhasePoweringOff).did(bos.ActionSessionSetup, recent), in: decide.WhyInput{Power: on},
			status: "power_off_pending", turn: "power-off-graceful", since: then, summary: "about to be shut down"},
		{name: "about to be shut down, former command open", n: newNode().phase(bos.PhasePoweringOff).did(bos.ActionSessionSetup, recent),
			in: decide.WhyInput{Open: open}, status: "power_off_pending", turn: "pcs", since: then, summary: "not done", unstick: []string{"transition"}},
		{name: "shutting down", n: newNode().phase(bos.PhasePoweringOff).did(bos.ActionPoweringOffGracefully, recent), in: decide.WhyInput{Power: on},
			status: "power_off_gracefully_called", turn: "node", since: then, next: offEnd, summary: "BOS cuts its power at 2026-11-23 10:04:59 UTC"},
		{name: "forced off", n: newNode().phase(bos.PhasePoweringOff).did(bos.ActionPoweringOffForcefully, recent).attempts(0, 1, 2),
			in: decide.WhyInput{Power: on}, status: "power_off_forcefully_called", turn: "pcs", since: then, next: offEnd, summary: "attempt 2 of 3"},
		{name: "shutdown refused", n: newNode().phase(bos.PhasePoweringOff).did(bos.ActionPoweringOffGracefully, recent).err("pcs can't carry out Soft-Off for this node"),
			status: "power_off_gracefully_called", turn: "pcs", since: then, next: offEnd, summary: "BOS forces it"},

		{name: "configuring", n: booting().phase(bos.PhaseConfiguring).runs("a").reportedAt(wallNow.Add(-time.Second)), in: decide.WhyInput{Config: pending},
			status: "configuring", turn: "cfs", since: then, summary: "CFS has not configured it with 'c' yet: pending", unstick: []string{"log"},
			said: []said{{"cfs", "configuration 'c' is pending"}, {"node", "reported what it shall run"}}},
		{name: "configuring, cfs has another one", n: booting().phase(bos.PhaseConfiguring).runs("a").reportedAt(wallNow.Add(-time.Second)),
			in: decide.WhyInput{Config: cfs("old", "configured")}, status: "configuring", turn: "configuration", since: then, summary: "about to be told"},
		{name: "configuring, not in cfs", n: booting().phase(bos.PhaseConfiguring).runs("a").reportedAt(wallNow.Add(-time.Second)),
			in: decide.WhyInput{Config: decide.Config{Seen: true}}, status: "configuring", turn: "cfs", since: then, summary: "cfs does not know it", unstick: []string{"component"}},
		{name: "configuring, not looked at", n: booting().phase(bos.PhaseConfiguring).runs("a").reportedAt(wallNow.Add(-time.Second)), status: "configuring",
			turn: "status", since: then, summary: "looks whether it is configured"},
		{name: "configuring without cfs", n: booting().phase(bos.PhaseConfiguring).runs("a").reportedAt(wallNow.Add(-time.Second)), NoCFS: true,
			status: "configuring", turn: "status", since: then, summary: "looks whether"},

		{name: "failed", n: booting().override("failed").disabled().err(decide.TextRetryLimit), status: "failed", turn: "administrator", since: then,
			summary: "BOS has given it up: The retry limit", unstick: []string{"no service gave a reason", "limit x1"}},
		{name: "failed after its boot script", n: booting().override("failed").disabled().err(decide.TextRetryLimit), in: decide.WhyInput{Script: script(wallNow)},
			status: "failed", turn: "administrator", since: then, summary: "The retry limit",
			unstick: []string{"fetched its boot script at 2026-11-23 10:00:00 UTC", "state reporter", "limit x1"}},
		{name: "failed before its boot script", n: booting().override("failed").disabled().err(decide.TextRetryLimit), in: decide.WhyInput{Script: script(wallNow.Add(-24 * time.Hour))},
			status: "failed", turn: "administrator", since: then, summary: "The retry limit",
			unstick: []string{"not fetched its boot script since its session began", "DHCP", "limit x1"}, said: []said{{"bss", "before its session began"}}},
		{name: "failed by pcs", n: booting().override("failed").disabled().err("pcs failed to carry out On: no such node"), status: "failed", turn: "administrator",
			since: then, summary: "given it up, by the word of pcs: pcs failed", unstick: []string{"mend", "limit x1"}, said: []said{{"pcs", "no such node"}}},
		{name: "failed in cfs", n: booting().override("failed").disabled().err("cfs configuration failed"), status: "failed", turn: "administrator", since: then,
			summary: "by the word of cfs", unstick: []string{"log of its session in cfs"}},
		{name: "failed without a word", n: booting().override("failed").disabled(), status: "failed", turn: "administrator", since: then, summary: "no reason"},
		{name: "failed, not disabled yet", n: booting().override("failed").err("why"), status: "failed", turn: "status", since: then, summary: "about to disable it: why"},
		{name: "not in pcs", n: newNode().wants("a", "c").override("on_hold").disabled().err("Component information was not returned by pcs").did(bos.ActionSessionSetup, recent),
			status: "on_hold", turn: "administrator", since: then, summary: "was not returned by pcs", unstick: []string{"pcs does not list its power", "limit x1"}},
		{name: "not in cfs", n: newNode().wants("a", "c").override("on_hold").disabled().err("Component information was not returned by cfs").did(bos.ActionSessionSetup, recent),
			status: "on_hold", turn: "administrator", since: then, summary: "was not returned by cfs", unstick: []string{"cfs has no component", "limit x1"}},
		{name: "cancelled", n: booting().override("on_hold").disabled().err("session 's' was cancelled while booting; it may still come up"),
			in: decide.WhyInput{Power: on, Config: pending}, status: "on_hold", turn: "administrator", since: then,
			summary: "session 's' was cancelled while booting; it may still come up", unstick: []string{"start it again with a session that has the limit x1"},
			said: []said{{"pcs", "its power is on"}, {"cfs", "configuration 'c' is pending"}}},
		{name: "disabled while on hold", n: newNode().override("on_hold").disabled().did(bos.ActionSessionSetup, recent), status: "on_hold",
			turn: "administrator", since: then, summary: "somebody disabled it"},
		{name: "disabled on its way", n: booting().disabled(), status: "power_on_called", turn: "administrator", since: then,
			summary: "was disabled while it was power_on_called", unstick: []string{"enable it"}},

		{name: "done", n: booting().phase(bos.PhaseNone).runs("a").reportedAt(wallNow.Add(-time.Second)).disabled(), status: "stable", turn: "nobody", since: then,
			summary: "where it shall be: it reported at 2026-11-23 09:59:59 UTC"},
		{name: "off", n: newNode().disabled().did(bos.ActionPoweringOffGracefully, recent), status: "stable", turn: "nobody", since: then, summary: "off, by the session s"},
		{name: "new", n: newNode().disabled().noSession().did(bos.ActionNewlyDiscovered, recent), status: "stable", turn: "nobody", since: then, summary: "no desired state and no session"},
		{name: "staged", n: newNode().disabled().staged("later"), status: "stable", turn: "nobody", since: none, summary: "session later staged", unstick: []string{"applystaged"}},
		{name: "report too old", n: newNode().wants("a", "c").disabled().did(bos.ActionActualStateCleanup, recent), status: "stable", turn: "node", since: then,
			summary: "older than 4h", unstick: []string{"reporter"}},
		{name: "at rest with an error", n: newNode().wants("a", "c").disabled().did(bos.ActionSessionSetup, recent).err("bad"), status: "stable", turn: "administrator",
			since: then, summary: "shows an error: bad", unstick: []string{"limit x1"}},
		{name: "at rest, runs something else", n: newNode().wants("a", "c").disabled().runs("b").reportedAt(wallNow.Add(-time.Second)), status: "stable",
			turn: "administrator", since: then, summary: "something else than its desired state", unstick: []string{"limit x1"}},
		{name: "at rest, never reported", n: newNode().wants("a", "c").disabled(), status: "stable", turn: "administrator", since: none, summary: "has not reported"},

		{name: "enabled and stable", n: newNode().phase(bos.PhaseNone).did(bos.ActionSessionSetup, recent), status: "stable", turn: "status", since: then, summary: "about to look"},
		{name: "a status of a client's", n: newNode().override("parked").did(bos.ActionSessionSetup, recent), status: "parked", turn: "administrator", since: then,
			summary: "A client has set its status to parked", unstick: []string{"clear its status_override"}},
		{name: "enabled without a session", n: booting().noSession(), in: decide.WhyInput{Power: on}, status: "power_on_called", turn: "node", since: then, next: bootEnd,
			summary: "has not reported", unstick: []string{"belongs to no session"}},
		{name: "its session is gone", n: booting(), in: decide.WhyInput{Power: on}, sessionGone: true, status: "power_on_called", turn: "node", since: then, next: bootEnd,
			summary: "has not reported", unstick: []string{"does not exist any more"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			in.Record, in.Now, in.Wall, in.Options, in.NoCFS = tt.n.tell(), now, wallNow, bos.DefaultOptions(), tt.NoCFS
			if !tt.sessionGone {
				in.Session = &bos.SessionRecord{Session: bos.Session{Name: "s"}, Sealed: tt.stopped}
				in.Session.Session.Status.StartTime = bos.Timestamp(wallNow.Add(-time.Hour))
			}
			got := decide.Why(in)
			type line struct{ Status, Turn, Since, Next string }
			text := func(s *string) string {
				if s == nil {
					return ""
				}
				return *s
			}
			if diff := cmp.Diff(line{string(tt.status), tt.turn, tt.since, tt.next}, line{string(got.Status), got.Turn, text(got.Since), text(got.Next)}); diff != "" {
				t.Errorf("want (-), got (+): %s", diff)
			}
			if !strings.Contains(got.Summary, tt.summary) {
				t.Errorf("summary %q does not say %q", got.Summary, tt.summary)
			}
			for _, words := range tt.unstick {
				if !slices.ContainsFunc(got.Unstick, func(u string) bool { return strings.Contains(u, words) }) {
					t.Errorf("nothing of %q says %q", got.Unstick, words)
				}
			}
			for _, s := range tt.said {
				if !slices.ContainsFunc(got.Said, func(g bos.Said) bool { return g.Service == s.service && strings.Contains(g.Text, s.text) }) {
					t.Errorf("%q does not say %q in %+v", s.service, s.text, got.Said)
				}
			}
			if len(got.Unstick) > 0 && strings.HasPrefix(got.Unstick[0], "then ") {
				t.Errorf("it begins with what comes then: %q", got.Unstick)
			}
			if got.Turn != bos.TurnNobody && len(got.Unstick) == 0 {
				t.Error("nothing would unstick it")
			}
			document, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"ttyS0", "7c9e6679", secretToken} {
				if strings.Contains(string(document), secret) {
					t.Errorf("%s is shown: %s", secret, document)
				}
			}
		})
	}
}

// A fleet whose clock runs faster than time is explained in time.
func TestWhyInQuickMotion(t *testing.T) {
	got := decide.Why(decide.WhyInput{Record: booting().tell(), Options: bos.DefaultOptions(), Now: now, Wall: wallNow, Rate: 100, Power: on})
	if got.Next == nil || *got.Next != "2026-11-23T10:00:12Z" {
		t.Errorf("next is %v, want a hundredth of 1199 s later", got.Next)
	}
}
