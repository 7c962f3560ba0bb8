// SPDX-License-Identifier: MIT

package etcd_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"bos/internal/store"
)

// handsOver checks that the roles of one member pass to another one when the
// first does something, although its lease would last for an hour.
func handsOver(t *testing.T, leave func(t *testing.T, led []store.Leadership, first interface{ Drain() })) {
	_, engines := threeWith(t, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	roles := []string{"status", "power-on", "clock"}
	var led []store.Leadership
	for _, role := range roles {
		l, err := engines[0].Campaign(ctx, role, engines[0].NewHolder())
		if err != nil {
			t.Fatal(err)
		}
		led = append(led, l)
	}
	var standing errgroup.Group
	for _, role := range roles {
		standing.Go(func() error {
			_, err := engines[1].Campaign(ctx, role, engines[1].NewHolder())
			return err
		})
	}
	leave(t, led, engines[0])
	if err := standing.Wait(); err != nil {
		t.Errorf("nobody followed: %v", err)
	}
}

// A leader that resigns is followed at once, from another member too, and also
// in the last of its roles.
func TestResignHandsOver(t *testing.T) {
	handsOver(t, func(t *testing.T, led []store.Leadership, _ interface{ Drain() }) {
		for _, l := range led {
			if err := l.Resign(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// So is one whose member is about to end, whether it leads the others or not.
func TestDrainHandsOver(t *testing.T) {
	handsOver(t, func(t *testing.T, led []store.Leadership, first interface{ Drain() }) {
		first.Drain()
		for _, l := range led {
			if err := l.Resign(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
