// SPDX-License-Identifier: MIT

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bos/internal/client"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"
)

// large is a session of 10,000 nodes in the midst of its way, as it is told of.
func large(t *testing.T) *watched {
	t.Helper()
	w := &watched{only: "reboot-compute-1"}
	told := func(at time.Duration, kind, data string) {
		if _, _, err := w.take(client.Message{Kind: kind, Data: []byte(data)}, testTime.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	outcome := func(succeeded, failed, configuring, booting, on, off, waiting int) string {
		return fmt.Sprintf(`{"session":{"name":"reboot-compute-1","tenant":""},"outcome":{"session":"reboot-compute-1",
			"operation":"reboot","template_name":"compute-2026-11","status":"running","start_time":"2026-11-23T09:38:17",
			"counts":{"total":10000,"succeeded":%d,"failed":%d,"configuring":%d,"booting":%d,"powering_on":%d,"powering_off":%d,"waiting":%d},
			"failures":[{"error":"PCS can't turn it on: \u001b[31mno power","count":%d,"nodes":"x1000c0s[0-7]b[0-1]n0,x1001c7s7b1n1"}],
			"slowest":[{"node":"x1000c3s1b0n0","phase":"booting","since":"2026-11-23T09:41:00Z"},{"node":"x1000c3s1b0n1","phase":"powering_on","since":"2026-11-23T09:41:30Z"}]}}`,
			succeeded, failed, configuring, booting, on, off, waiting, failed)
	}
	told(0, "reset", `{"reason":"begin"}`)
	told(0, "session", outcome(0, 0, 0, 0, 0, 7200, 2800))
	told(240*time.Second, "session", outcome(120, 3, 900, 4000, 1900, 3077, 0))
	told(300*time.Second, "session", outcome(2580, 17, 1200, 4300, 1000, 903, 0))
	told(300*time.Second, "event", `{"revision":9,"time":"2026-11-23T09:43:10Z","type":"failed","session":"reboot-compute-1","count":17,"nodes":"x1000c0s[0-7]b[0-1]n0,x1001c7s7b1n1","text":"can't be turned on, says pcs"}`)
	return w
}

// all is a fleet with some sessions.
func all(t *testing.T) *watched {
	t.Helper()
	w := &watched{}
	told := func(kind, data string) {
		if _, _, err := w.take(client.Message{Kind: kind, Data: []byte(data)}, testTime.Add(300*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	session := func(name, tenant, status, start, outcome string, succeeded, failed, booting int) {
		told("session", fmt.Sprintf(`{"session":{"name":%[1]q,"tenant":%[2]q},"outcome":{"session":%[1]q,"tenant":%[2]q,"operation":"boot","template_name":"t",
			"status":%[3]q,"outcome":%[5]s,"start_time":%[4]q,"counts":{"total":%[6]d,"succeeded":%[7]d,"failed":%[8]d,"booting":%[9]d}}}`,
			name, tenant, status, start, outcome, succeeded+failed+booting, succeeded, failed, booting))
	}
	told("fleet", `{"total":10000,"enabled":7400,"by_status":{"stable":2580,"failed":20,"power_on_called":5200,"configuring":1200,"power_off_gracefully_called":999,"by hand":1}}`)
	session("gone-before", "", "complete", "2026-11-20T00:00:00", `"succeeded"`, 4, 0, 0)
	session("boot-1", "", "complete", "2026-11-22T00:00:00", `"partial"`, 60, 4, 0)
	session("boot-2", "", "complete", "2026-11-22T01:00:00", `"succeeded"`, 64, 0, 0)
	session("night-shift-of-the-blue-cluster", "vcluster-blue", "complete", "2026-11-22T02:00:00", `"cancelled"`, 1, 0, 0)
	session("9fea7f3f-0a77-40b9-892d-37712de51d65", "", "running", "2026-11-23T09:38:17", `null`, 2580, 20, 7400)
	session("just-now", "", "pending", "2026-11-23T09:43:17", `null`, 0, 0, 0)
	w.notice = "cannot reach BOS at https://api-gw.example.com/apis/bos: connection refused; again in 4s"
	return w
}

// TestPictures draws what is watched. UPDATE=1 in the environment writes the
// pictures down.
func TestPictures(t *testing.T) {
	tests := []struct {
		name          string
		watched       *watched
		width, height int
		plain         bool
		after         time.Duration
	}{
		{"session-80", large(t), 80, 30, false, 300 * time.Second},
		{"session-plain-60", large(t), 60, 14, true, 310 * time.Second},
		{"fleet-100", all(t), 100, 30, false, 300 * time.Second},
		{"fleet-20", all(t), 20, 0, true, 300 * time.Second},
		{"unheard-of", &watched{only: "s1"}, 80, 24, false, 0},
		{"nothing", &watched{}, 80, 24, false, 0},
	}
	for _, test := range tests {
		c := &canvas{width: test.width, height: test.height, now: testTime.Add(test.after), plain: test.plain}
		test.watched.draw(c)
		lines := c.render(&screen{})
		got := strings.Join(lines, "\n") + "\n"
		if test.height > 0 && len(lines) >= test.height {
			t.Errorf("%s: %d lines", test.name, len(lines))
		}
		for _, line := range lines {
			if displaywidth.String(line) >= test.width {
				t.Errorf("%s: a line is %d columns wide", test.name, displaywidth.String(line))
			}
		}
		file := filepath.Join("testdata", "pictures", test.name+".txt")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// On a terminal each picture takes the place of the one before, and the cursor
// comes back at the end.
func TestLive(t *testing.T) {
	var out strings.Builder
	l := &live{out: &out}
	for _, lines := range [][]string{{"a", "b"}, {"c"}} {
		if err := l.show(lines); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[?25l\ra\x1b[K\n\rb\x1b[K\n\x1b[J\x1b[2A\rc\x1b[K\n\x1b[J\x1b[?25h"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
