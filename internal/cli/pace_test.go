// SPDX-License-Identifier: MIT

package cli

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	type seen struct{ at, done int }
	many := []seen{{0, 0}}
	for i := 1; i <= 1000; i++ {
		many = append(many, seen{100 + i, 5 * i})
	}
	tests := []struct {
		name   string
		seen   []seen
		now    int
		remain int
		want   string
	}{
		{"nothing was seen", nil, 10, 100, ""},
		{"none is through", []seen{{0, 0}}, 300, 100, ""},
		{"the first is through, the others come at once", []seen{{0, 0}, {300, 5}}, 301, 95, ""},
		{"a pace", []seen{{0, 0}, {300, 10}, {310, 110}}, 310, 890, "1m29s"},
		{"a pace that grows old", []seen{{0, 0}, {300, 10}, {310, 110}}, 320, 890, "2m58s"},
		{"nobody has been through for long", []seen{{0, 0}, {300, 10}, {310, 110}}, 500, 890, ""},
		{"who comes late has the age", []seen{{1000, 5000}}, 1000, 5000, "16m40s"},
		{"and then what is seen", []seen{{1000, 5000}, {1010, 5100}}, 1010, 4900, "8m10s"},
		{"a long session keeps its pace", many, 1100, 100, "20s"},
		{"all are through", []seen{{0, 0}, {1, 10}}, 2, 0, "0s"},
		{"it began anew", []seen{{0, 50}, {10, 0}}, 20, 10, ""},
		{"the last ones are stuck", []seen{{0, 0}, {300, 10}, {310, 110}}, 326, 10, ""},
		{"very slow", []seen{{0, 0}, {300, 1}, {400, 2}}, 400, 1000000, "100d0h"},
	}
	for _, test := range tests {
		p := pace{start: testTime}
		at := func(s int) time.Time { return testTime.Add(time.Duration(s) * time.Second) }
		for _, s := range test.seen {
			p.see(at(s.at), s.done)
		}
		got := ""
		if left, ok := p.left(at(test.now), test.remain); ok {
			got = roughly(left)
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if len(p.samples) > paceSamples {
			t.Errorf("%s: %d samples are kept", test.name, len(p.samples))
		}
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 65 * time.Second: "1m05s", 130 * time.Minute: "2h10m", 49 * time.Hour: "2d1h",
		59*time.Second + 900*time.Millisecond: "1m00s",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 9999: "9999", 10000: "10,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

func TestEventsThatAreToldTwice(t *testing.T) {
	told := seen{revision: 3}
	for i, test := range []struct {
		revision int64
		text     string
		want     bool
	}{{2, "a", false}, {4, "a", true}, {4, "b", true}, {4, "a", false}, {5, "a", true}, {4, "c", false}} {
		if got := told.fresh(&event{Revision: test.revision, Text: test.text}); got != test.want {
			t.Errorf("event %d, %d %s, is new: %v", i, test.revision, test.text, got)
		}
	}
}
