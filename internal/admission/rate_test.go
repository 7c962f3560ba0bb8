// SPDX-License-Identifier: MIT

package admission

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when the tests begin; their clock is a value.
func start() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) }

func TestRates(t *testing.T) {
	r, now := NewRates(10, 5, 100), start()
	for i := range 5 {
		if wait := r.Take("a", now); wait != 0 {
			t.Fatalf("request %d of the burst waits %v", i, wait)
		}
	}
	wait := r.Take("a", now)
	if wait != 100*time.Millisecond {
		t.Errorf("one too many waits %v", wait)
	}
	if r.Take("b", now) != 0 {
		t.Error("another client waits")
	}
	// What was refused does not count: whoever waits as told is let in.
	for range 50 {
		r.Take("a", now)
	}
	if wait := r.Take("a", now.Add(wait)); wait != 0 {
		t.Errorf("after the wait: %v", wait)
	}
	err := r.Refusal("192.0.2.1", wait)
	if bos.CodeOf(err) != bos.CodeTooMany || bos.UserText(err) != "192.0.2.1 made more than 10 requests a second, after 5 at once; try again in 100ms" {
		t.Error(err)
	}
}

// However the requests come, in no stretch of time are more let in than the
// bucket held at its beginning and got meanwhile.
func TestRateIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.IntRange(1, 100).Draw(t, "rate")
		burst := rapid.IntRange(1, 50).Draw(t, "burst")
		r, now := NewRates(float64(perSecond), burst, 1), start()
		var passed []time.Time
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 400), 1, 200).Draw(t, "gaps") {
			now = now.Add(time.Duration(ms) * time.Millisecond)
			if r.Take("a", now) == 0 {
				passed = append(passed, now)
			}
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				most := float64(burst) + passed[j].Sub(passed[i]).Seconds()*float64(perSecond)
				if float64(j-i+1) > most+0.001 {
					t.Fatalf("%d requests in %v", j-i+1, passed[j].Sub(passed[i]))
				}
			}
		}
	})
}

// A great many clients cost no more than so many; the busy ones stay known.
func TestRatesForget(t *testing.T) {
	r, now := NewRates(1, 1, 100), start()
	for i := range 10_000 {
		r.Take(fmt.Sprint("client", i), now)
		if i == 0 {
			continue
		}
		if r.Take("busy", now) == 0 && i > 1 {
			t.Fatal("a client that goes on is forgotten")
		}
	}
	if r.Clients() != 100 {
		t.Errorf("%d clients", r.Clients())
	}
}

// Nodes by the ten thousand that report at the same moment, each for itself or
// all behind one gateway, are not refused by bounds such as the defaults.
func TestManyReporters(t *testing.T) {
	r, now := NewRates(500, 50_000, 65_536), start()
	for i := range 40_000 {
		if r.Take(fmt.Sprint("node", i), now) != 0 || r.Take("gateway", now) != 0 {
			t.Fatalf("reporter %d is refused", i)
		}
	}
}

func TestRatesConcurrently(t *testing.T) {
	r, now := NewRates(1, 1000, 50), start()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 1000 {
				r.Take(fmt.Sprint(n%100, i%2), now)
			}
		})
	}
	group.Wait()
	if n := r.Clients(); n != 50 {
		t.Errorf("%d clients", n)
	}
}

func TestClient(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1",
		"127.0.0.6:1": " local", "[::1]:1": " local", "[::ffff:127.0.0.1]:1": " local",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[2001:db8:1:2::9]:1": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64",
		"pipe": "pipe", "@": "@",
	} {
		client, local := Client(remote)
		if local {
			client += " local"
		}
		if client != want {
			t.Errorf("%s: %s, want %s", remote, client, want)
		}
	}
}

func TestGate(t *testing.T) {
	g := NewGate(2)
	for range 2 {
		if err := g.Enter(); err != nil {
			t.Fatal(err)
		}
	}
	err := g.Enter()
	if bos.CodeOf(err) != bos.CodeUnavailable || !strings.Contains(bos.UserText(err), "2 requests are being worked on") {
		t.Error(err)
	}
	g.Leave()
	if err := g.Enter(); err != nil || g.Inside() != 2 {
		t.Errorf("%v, %d inside", err, g.Inside())
	}
}
