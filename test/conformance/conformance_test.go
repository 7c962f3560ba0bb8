// SPDX-License-Identifier: MIT

package conformance_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"bos/test/conformance/compare"
	"bos/test/conformance/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// worlds is the folder of the world's documents.
const worlds = "testdata/worlds"

// recordings returns the recordings of a kind. There are some.
func recordings(t *testing.T, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d %s were found: %v", len(files), kind, err)
	}
	return files
}

// name is that of a recording's file.
func name(file string) string { return strings.TrimSuffix(filepath.Base(file), ".json") }

// deviations are the differences that are declared beyond those of the
// recordings.
func deviations(t *testing.T) *compare.Deviations {
	t.Helper()
	d, err := compare.ReadDeviations("deviations.json")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func report(t *testing.T, diffs []string) {
	t.Helper()
	for _, d := range diffs {
		t.Error(d)
	}
}

// Every client of the original finds the API as it was.
func TestScenarios(t *testing.T) {
	devs := deviations(t)
	site := replay.Start(t, "none")
	for _, file := range recordings(t, "scenarios") {
		t.Run(name(file), func(t *testing.T) {
			s, err := replay.ReadScenario(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := s.Document(worlds)
			if err != nil {
				t.Fatal(err)
			}
			if err := site.World.Load(doc); err != nil {
				t.Fatal(err)
			}
			if err := site.Empty(t.Context()); err != nil {
				t.Fatal(err)
			}
			report(t, s.Run(t.Context(), site.To, site.Base, devs))
		})
	}
	for _, d := range devs.UnusedSteps() {
		t.Errorf("the deviation of %s matches nothing", d)
	}
}

// recorded is after all times that the recordings have; those before count as
// texts.
var recorded = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// What happens to nodes is what happened to them, in virtual time.
func TestTraces(t *testing.T) {
	devs := deviations(t)
	for _, file := range recordings(t, "traces") {
		t.Run(name(file), func(t *testing.T) {
			trace, err := replay.ReadTrace(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(recorded))
				site, stop := replay.StartVirtual(t)
				defer stop()
				report(t, trace.Run(t.Context(), site, worlds, devs))
			})
		})
	}
	for _, d := range devs.UnusedPlaces() {
		t.Errorf("the deviation of %s matches nothing", d)
	}
}
