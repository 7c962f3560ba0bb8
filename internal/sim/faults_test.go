// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// faultCase is a fault's parameters and what it changes for the node first.
type faultCase struct {
	fault Fault
	check func(*testing.T, *bench, *fakeBOS)
}

// switchOn gives the node first boot parameters and switches it on.
func switchOn(b *bench) string {
	b.putParams("t", first)
	return b.transition("On", first)
}

func powerFaults() map[FaultKind]faultCase {
	return map[FaultKind]faultCase{
		FaultNeverPowersOn: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			id := switchOn(b)
			time.Sleep(62 * time.Second)
			if got := b.progress(id, first); got.err != "Timeout waiting for transition, on." || b.node(first).Power != "off" {
				t.Errorf("%+v", got)
			}
		}},
		FaultSlowPowerOn: {Fault{Delay: 40 * time.Second}, func(t *testing.T, b *bench, _ *fakeBOS) {
			switchOn(b)
			time.Sleep(39 * time.Second)
			early := b.node(first).Power
			time.Sleep(2 * time.Second)
			if late := b.node(first).Power; early != "off" || late != "on" {
				t.Errorf("%s, then %s", early, late)
			}
		}},
		FaultPowerOnFails: {Fault{Times: 2}, func(t *testing.T, b *bench, _ *fakeBOS) {
			for try := range 3 {
				switchOn(b)
				time.Sleep(70 * time.Second)
				if got := b.node(first).Power; (got == "on") != (try == 2) {
					t.Errorf("try %d: %s", try, got)
				}
			}
		}},
		FaultSoftOffIgnored: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			switchOn(b)
			time.Sleep(2 * time.Minute)
			b.transition("Soft-Off", first)
			time.Sleep(70 * time.Second)
			soft := b.node(first).Power
			b.transition("Force-Off", first)
			time.Sleep(time.Second)
			if force := b.node(first).Power; soft != "on" || force != "off" {
				t.Errorf("%s, then %s", soft, force)
			}
		}},
		FaultForceOffIgnored: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			switchOn(b)
			time.Sleep(2 * time.Minute)
			b.transition("Force-Off", first)
			time.Sleep(time.Minute)
			if got := b.node(first).Power; got != "on" {
				t.Error(got)
			}
		}},
	}
}

func bootFaults() map[FaultKind]faultCase {
	return map[FaultKind]faultCase{
		FaultNeverReports: {Fault{}, func(t *testing.T, b *bench, bos *fakeBOS) {
			switchOn(b)
			time.Sleep(5 * time.Hour)
			if n := b.node(first); !n.Up || len(bos.seen(first)) != 0 {
				t.Errorf("%+v", n)
			}
			if err := b.Inject(first, Fault{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if len(bos.seen(first)) != 1 {
				t.Error("healed, and does not report")
			}
		}},
		FaultWrongToken: {Fault{}, func(t *testing.T, b *bench, bos *fakeBOS) {
			switchOn(b)
			time.Sleep(2 * time.Minute)
			if seen := bos.seen(first); len(seen) != 1 || seen[0].token == "t" || len(seen[0].token) != 36 {
				t.Errorf("%+v", seen)
			}
		}},
		FaultReportsLate: {Fault{Delay: 10 * time.Minute}, func(t *testing.T, b *bench, bos *fakeBOS) {
			switchOn(b)
			time.Sleep(10 * time.Minute)
			early := len(bos.seen(first))
			time.Sleep(2 * time.Minute)
			if late := len(bos.seen(first)); early != 0 || late != 1 {
				t.Errorf("%d, then %d", early, late)
			}
		}},
		FaultBootsNothing: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			switchOn(b)
			time.Sleep(10 * time.Minute)
			if n := b.node(first); n.Power != "on" || n.Booting || n.Up {
				t.Errorf("%+v", n)
			}
			if err := b.Inject(first, Fault{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			if n := b.node(first); !n.Up {
				t.Errorf("healed: %+v", n)
			}
		}},
	}
}

func viewFaults() map[FaultKind]faultCase {
	return map[FaultKind]faultCase{
		FaultConfigurationFails: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			b.call("PATCH", b.URLs().CFS+"/components/"+first, `{"desired_config":"c","enabled":false}`)
			switchOn(b)
			time.Sleep(5 * time.Minute)
			if got := b.config(first); got != cfsFailed {
				t.Error(got)
			}
		}},
		FaultConfigurationNeverEnds: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			b.call("PATCH", b.URLs().CFS+"/components/"+first, `{"desired_config":"c","enabled":false}`)
			switchOn(b)
			time.Sleep(5 * time.Hour)
			if got := b.config(first); got != cfsPending {
				t.Error(got)
			}
			if err := b.Inject(first, Fault{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := b.config(first); got != cfsConfigured {
				t.Errorf("healed: %s", got)
			}
		}},
		FaultMissingFromCFS: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			if a := b.call("GET", b.URLs().CFS+"/components?ids="+first, nil); strings.Contains(string(a.body), first) {
				t.Errorf("%s", a.body)
			}
		}},
		FaultMissingFromPCS: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			if a := b.pcs("POST", "/power-status", map[string]any{"xname": []string{first}}); a.field(t, "status", 0, "error") != pcsUnknown {
				t.Errorf("%s", a.body)
			}
			id := switchOn(b)
			time.Sleep(time.Second)
			if got := b.progress(id, first); got.err != "Missing xname" {
				t.Errorf("%+v", got)
			}
		}},
		FaultUnknownToHSM: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			if a := b.hsm("GET", "/State/Components/"+first, nil); a.status != 404 {
				t.Errorf("%d", a.status)
			}
			for _, path := range []string{"/State/Components", "/groups", "/locks/status", "/memberships"} {
				if a := b.hsm("GET", path, nil); strings.Contains(string(a.body), `"`+first+`"`) {
					t.Errorf("%s shows the node", path)
				}
			}
			if got := b.node(first).PCS; got != "" {
				t.Errorf("PCS shows %s", got)
			}
		}},
	}
}

func controllerFaults() map[FaultKind]faultCase {
	return map[FaultKind]faultCase{
		FaultLocked: {Fault{Delay: time.Minute, After: time.Minute}, func(t *testing.T, b *bench, _ *fakeBOS) {
			for k, want := range []bool{false, true, false} {
				if got := b.node(first).Locked; got != want {
					t.Errorf("after %d min: locked %v", k, got)
				}
				time.Sleep(61 * time.Second)
			}
		}},
		FaultReserved: {Fault{Delay: time.Minute}, func(t *testing.T, b *bench, _ *fakeBOS) {
			id := switchOn(b)
			time.Sleep(time.Second)
			if got := b.progress(id, first); got.err != "Unable to reserve component" {
				t.Errorf("%+v", got)
			}
			time.Sleep(time.Minute)
			b.transition("On", first)
			time.Sleep(10 * time.Second)
			if got := b.node(first).Power; got != "on" {
				t.Error(got)
			}
			b.noViolations()
		}},
		FaultBMCHangs: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			time.Sleep(61 * time.Second)
			if a, c := b.shown(first), b.shown(second); a != "undefined" || c != "undefined" || b.shown(third) != "off" {
				t.Errorf("%s, %s", a, c)
			}
		}},
		FaultBMCRefuses: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			time.Sleep(38 * time.Second)
			if a, c := b.shown(first), b.shown(second); a != "undefined" || c != "undefined" {
				t.Errorf("%s, %s", a, c)
			}
		}},
		FaultBMCRejects: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			id := switchOn(b)
			time.Sleep(50 * time.Second)
			if got := b.progress(id, first); got.task != "in-progress" {
				t.Errorf("%+v", got)
			}
			time.Sleep(15 * time.Second)
			if got := b.progress(id, first); got.err != "Timeout waiting for transition, on." {
				t.Errorf("%+v", got)
			}
		}},
		FaultPowerInvalid: {Fault{}, func(t *testing.T, b *bench, _ *fakeBOS) {
			time.Sleep(31 * time.Second)
			if got := b.shown(first); got != "invalid" {
				t.Error(got)
			}
		}},
	}
}

// TestFaults injects each kind into one node, tries to boot it or to shut it
// down, and looks at what is different from a healthy node.
func TestFaults(t *testing.T) {
	cases := map[FaultKind]faultCase{}
	for _, part := range []map[FaultKind]faultCase{powerFaults(), bootFaults(), viewFaults(), controllerFaults()} {
		maps.Copy(cases, part)
	}
	for _, kind := range FaultKinds() {
		c, ok := cases[kind]
		if !ok {
			t.Errorf("%s is not tested", kind)
			continue
		}
		t.Run(kind.String(), func(t *testing.T) {
			withBOS(t, Config{Nodes: 8}, func(t *testing.T, b *bench, bos *fakeBOS) {
				c.fault.Kind = kind
				if err := b.Inject(first, c.fault); err != nil {
					t.Fatal(err)
				}
				if n := b.node(first); n.Fault == nil || n.Fault.Kind != kind {
					t.Errorf("fault %+v", n.Fault)
				}
				c.check(t, b, bos)
				if err := b.Inject(first, Fault{}); err != nil {
					t.Fatal(err)
				}
				if got := b.InjectedFaults(); len(got) != 0 {
					t.Errorf("not healed: %v", got)
				}
			})
		})
	}
}

func TestFaultJSON(t *testing.T) {
	for _, kind := range FaultKinds() {
		in := Fault{Kind: kind, Delay: 90 * time.Second, Times: 2, After: time.Second}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out Fault
		if err := json.Unmarshal(text, &out); err != nil || out != in {
			t.Errorf("%s became %+v, %v", text, out, err)
		}
	}
	for _, text := range []string{
		`{"kind":"odd"}`, `{"kind":"locked_for","delay":"-1s"}`, `{"delay":"soon"}`, `{"times":-1}`, `{"after":"x"}`, `[]`,
	} {
		if err := json.Unmarshal([]byte(text), new(Fault)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	in := ServiceFault{Kind: ServiceSlow, Delay: time.Second, Status: 503, Nodes: []string{first}, For: time.Minute}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out ServiceFault
	if err := json.Unmarshal(text, &out); err != nil || !cmp.Equal(in, out) {
		t.Errorf("%s became %+v, %v", text, out, err)
	}
	for _, text := range []string{`{"kind":"odd"}`, `{"status":99}`, `{"for":"x"}`, `{"delay":"-1s"}`, `1`} {
		if err := json.Unmarshal([]byte(text), new(ServiceFault)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestInjectErrors(t *testing.T) {
	b := newBench(t, Config{})
	if err := b.Inject(nowhere, Fault{Kind: FaultLocked}); err == nil || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("error %v", err)
	}
	if err := b.Inject(first, Fault{Kind: faultKinds}); err == nil {
		t.Error("an unknown kind is taken")
	}
}
