// SPDX-License-Identifier: MIT

package demo_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/demo"
	"bos/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run carries a demonstration out and returns its report.
func run(t *testing.T, cfg demo.Config) demo.Report {
	t.Helper()
	d, err := demo.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	report, err := d.Run(t.Context())
	if err != nil {
		t.Errorf("run: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return report
}

func TestEveryNodeSucceedsWithoutFaults(t *testing.T) {
	t.Parallel()
	report := run(t, demo.Config{Nodes: 64, Seed: 1, TimeScale: 0.01, Faults: sim.FaultsNone})
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	for _, op := range report.Operations {
		if op.Succeeded != 64 || op.Failed != 0 {
			t.Errorf("%s: %d succeeded, %d failed: %v", op.Operation, op.Succeeded, op.Failed, op.Outcomes)
		}
		if op.Seconds <= 0 || op.HardwareSeconds <= 0 || op.HardwareSeconds > op.Seconds {
			t.Errorf("%s took %v s, of which hardware %v s", op.Operation, op.Seconds, op.HardwareSeconds)
		}
	}
}

func TestJSONContract(t *testing.T) {
	var out bytes.Buffer
	report := demo.Report{
		Nodes: 2,
		Operations: []demo.Operation{
			{Operation: "boot", Succeeded: 1, Failed: 1, Seconds: 2.5, HardwareSeconds: 2, Outcomes: []demo.Outcome{{Node: "x1c0s0b0n0"}}},
		},
		Faults: []demo.Fault{{Node: "x1c0s0b0n0", Injected: "never_reports", Reported: "boot failed: <&>"}},
	}
	if err := report.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	want := `{"nodes":2,"operations":[{"operation":"boot","succeeded":1,"failed":1,"seconds":2.5,"hardware_seconds":2}],` +
		`"faults":[{"node":"x1c0s0b0n0","injected":"never_reports","reported":"boot failed: <&>"}]}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the JSON is not what it has to be (-want +got):\n%s", diff)
	}
	out.Reset()
	if err := (demo.Report{Nodes: 1}).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	if want := `{"nodes":1,"operations":[],"faults":[]}` + "\n"; out.String() != want {
		t.Errorf("without anything the JSON is %s, want %s", &out, want)
	}
	if !json.Valid(out.Bytes()) {
		t.Error("it is no JSON")
	}
}
