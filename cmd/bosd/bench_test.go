// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"bos/internal/bench"
)

// asProgram makes the test binary be bosd: commands that start bosd start it.
const asProgram = "TEST_AS_BOSD"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestBench measures a small site: every row has a figure.
func TestBench(t *testing.T) {
	t.Setenv(asProgram, "1")
	var stdout, stderr bytes.Buffer
	environ := []string{"BOS_ROUNDS=1", "BOS_CALLS=160", "BOS_DIR=" + t.TempDir()}
	status := run(t.Context(), []string{"bench", "--nodes", "16", "--time-scale", "0.005", "--output", "json"}, environ, strings.NewReader(""), &stdout, &stderr)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	var report bench.Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Sizes) != 1 || len(report.Sizes[0].Rows) != 13 || report.Sizes[0].Bytes < 16*2000 {
		t.Fatalf("report: %+v", report)
	}
	for _, row := range report.Sizes[0].Rows {
		if row.Ours.Median <= 0 || row.Limit != nil && row.Limit.Median <= 0 {
			t.Errorf("row %s: %+v", row.Row, row)
		}
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"--nodes 5", "nodes: must be 10"},
		{"--url http://bos.example --nodes 10", "not on this host"},
		{"--output yaml", "output: must be text or json"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"bench"}, strings.Fields(c.args)...)
		if status := run(t.Context(), args, nil, strings.NewReader(""), &stdout, &stderr); status != exitUsage || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%s: status %d, %s", c.args, status, &stderr)
		}
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"bench"}, []string{"BOS_NODES=many"}, strings.NewReader(""), &stderr, &stderr); status != exitUsage ||
		!strings.Contains(stderr.String(), "BOS_NODES") {
		t.Errorf("status %d, %s", status, &stderr)
	}
}
