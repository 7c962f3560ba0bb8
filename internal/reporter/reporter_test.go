// SPDX-License-Identifier: MIT

package reporter

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const line = "console=ttyS0,115200 quiet root=sbps-s3:s3://b/rootfs:etag=1 xname=x3000c0s1b0n0 nid=1 bss_referral_token=t-1 bos_update_frequency=90m\n"
	for name, c := range map[string]struct {
		line, identity string
		want           Node
	}{
		"all there":        {line: line, want: Node{"x3000c0s1b0n0", "t-1", 90 * time.Minute}},
		"another identity": {line: line, identity: "x1000c0s0b0n1", want: Node{"x1000c0s0b0n1", "t-1", 90 * time.Minute}},
		"no frequency":     {line: "xname=x1 bss_referral_token=t", want: Node{"x1", "t", 4 * time.Hour}},
		"the last counts":  {line: "xname=x1 xname=x2 bss_referral_token=a bss_referral_token=b", want: Node{"x2", "b", 4 * time.Hour}},
		"two equals signs": {line: "xname=x1 bss_referral_token=a bss_referral_token=b=c", want: Node{"x1", "a", 4 * time.Hour}},
		"once":             {line: "xname=x1 bss_referral_token=t bos_update_frequency=0h", want: Node{"x1", "t", 0}},
		"upper case":       {line: "xname=x1 bss_referral_token=t bos_update_frequency=2D", want: Node{"x1", "t", 48 * time.Hour}},
		"very long":        {line: "xname=x1 bss_referral_token=t bos_update_frequency=4294967295w", want: Node{"x1", "t", maxFrequency}},
	} {
		got, err := Parse(c.line, c.identity)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := Parse("xname=x1", ""); !errors.Is(err, ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	for _, bad := range []string{
		"", "bss_referral_token=t", "xname=x1 bss_referral_token=t bos_update_frequency=", "xname=x1 bss_referral_token=t bos_update_frequency=4",
		"xname=x1 bss_referral_token=t bos_update_frequency=-1h", "xname=x1 bss_referral_token=t bos_update_frequency=1.5h",
	} {
		if n, err := Parse(bad, ""); err == nil || errors.Is(err, ErrNoToken) {
			t.Errorf("%q: %+v, %v", bad, n, err)
		}
	}
}

// run runs a reporter for some time and returns when it reported, in seconds.
// The first so many reports fail.
func run(t *testing.T, n Node, random float64, failures int, lasting time.Duration) (at []float64, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), lasting)
		defer cancel()
		begun := time.Now()
		r := &Reporter{
			Node: n, Log: slog.New(slog.DiscardHandler), Random: func() float64 { return random },
			Send: func(_ context.Context, sent Node) error {
				if sent != n {
					t.Errorf("sent %+v", sent)
				}
				at = append(at, time.Since(begun).Seconds())
				if len(at) <= failures {
					return errors.New("BOS is away")
				}
				return nil
			},
		}
		err = r.Run(ctx)
	})
	return at, err
}

func TestRhythm(t *testing.T) {
	node := Node{ID: "x1", Token: "t", Frequency: 4 * time.Hour}
	const hours = 3600.0
	for name, c := range map[string]struct {
		random   float64
		failures int
		lasting  time.Duration
		want     []float64
	}{
		"well":            {random: 0.5, lasting: 8 * time.Hour, want: []float64{0, 1.5 * hours, 4.5 * hours, 7.5 * hours}},
		"refused at boot": {random: 0, failures: 4, lasting: 30 * time.Minute, want: []float64{0, 0, 2, 6, 12, 12}},
		"away for long": {
			failures: 100, lasting: 299 * time.Second,
			want: []float64{0, 0, 2, 6, 12, 20, 30, 42, 56, 72, 90, 110, 132, 156, 182, 210, 240, 270},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, node, c.random, c.failures, c.lasting)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOnce(t *testing.T) {
	got, err := run(t, Node{ID: "x1", Token: "t"}, 0.5, 1, time.Hour)
	if err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}
