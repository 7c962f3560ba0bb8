// SPDX-License-Identifier: MIT

package web

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "never", "nonsense": "never", "2026-11-25T12:00:00": "now", "2026-11-25T11:59:18Z": "42 s ago",
		"2026-11-25T12:00:30.5Z": "in 30 s", "2026-11-25T11:57:55": "2 min 5 s ago", "2026-11-25T14:00:00+02:00": "now",
		"2026-11-25T09:30:00": "2 h 30 min ago", "2026-11-20T09:00:00": "5 d 3 h ago",
	} {
		if got := ago(now, text); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
	if got := lasted(now, "2026-11-25T11:59:00", ""); got != "1 min 0 s" {
		t.Error(got)
	}
	if got := lasted(now, "2026-11-25T11:59:00", "2026-11-25T11:59:09"); got != "9 s" {
		t.Error(got)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567"} {
		if got := number(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	if percent(99, 100) != 99 || percent(999, 1000) != 99 || percent(0, 0) != 0 || percent(7, 7) != 100 {
		t.Error("percent")
	}
}

func TestNodesOf(t *testing.T) {
	got := nodesOf("x1c0s[0-1]b0n0")
	if len(got.Nodes) != 2 || got.More {
		t.Errorf("%+v", got)
	}
	if got = nodesOf("x1c0s[0-99]b0n0"); len(got.Nodes) != mostLinks || !got.More {
		t.Errorf("%+v", got)
	}
	if got = nodesOf("x1[c"); len(got.Nodes) != 0 || !got.More || got.Text != "x1[c" {
		t.Errorf("%+v", got)
	}
}

// Every node is in one count of its cabinet, whatever its name and status.
func TestSummarise(t *testing.T) {
	o := summarise(&fleet{
		Total: 6, IDs: []string{"x10c0s0b0n0", "x2c0s0b0n0", "x2c0s0b0n1", "x2c0s0b0n2", "nid1", "x2c7s0b0n0"},
		Statuses: []string{"stable", "failed", "on_hold", "power_on_called"}, Codes: "ABCDA?",
	})
	want := []cabinet{
		{Name: "other names", Total: 1, Stable: 1},
		{Name: "x2", Total: 4, Failed: 1, OnHold: 1, Working: 2},
		{Name: "x10", Total: 1, Stable: 1},
	}
	if len(o.Cabinets) != 3 || o.Cabinets[0] != want[0] || o.Cabinets[1] != want[1] || o.Cabinets[2] != want[2] {
		t.Errorf("%+v", o.Cabinets)
	}
	if len(o.Counts) != 5 || o.Counts[0] != (statusCount{"failed", 1}) || o.Counts[4] != (statusCount{"other", 1}) {
		t.Errorf("%+v", o.Counts)
	}
}

func TestClip(t *testing.T) {
	long := strings.Repeat("x1000c0s0b0n0,", 20) + "x1"
	if got := clip(long); len(got) > mostRange+4 || !strings.HasSuffix(got, "n0,…") || clip("x1,x2") != "x1,x2" {
		t.Error(got)
	}
	if got := clip(strings.Repeat("é", 200)); !utf8.ValidString(got) {
		t.Error(got)
	}
}
