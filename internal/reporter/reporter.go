// SPDX-License-Identifier: MIT

// Package reporter is the node's side of BOS: it tells BOS which boot parameters
// the node came up with, again and again for as long as the node runs, so that
// BOS knows what the node runs and that it still does.
package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// The words of the kernel's command line that concern the reporter. BSS puts the
// first two there, BOS the third.
const (
	wordName      = "xname"
	wordToken     = "bss_referral_token"
	wordFrequency = "bos_update_frequency"
)

// DefaultFrequency is how often BOS expects a report if the command line does
// not say: the default of its option component_actual_state_ttl.
const DefaultFrequency = 4 * time.Hour

const (
	// pauseStep is by how much the pause after a failed report grows.
	pauseStep = 2 * time.Second
	// MaxPause is the longest pause after a failed report.
	MaxPause = 30 * time.Second
)

// ErrNoToken says that the node was not booted by BSS for BOS: there is nothing
// to report.
var ErrNoToken = errors.New("there is no " + wordToken + " on the kernel's command line, so there is nothing to report")

// Node is what a node knows of itself.
type Node struct {
	// ID is its xname.
	ID string
	// Token stands for the boot parameters that it came up with.
	Token string
	// Frequency is how often BOS expects to hear of the node at least; 0 is
	// once.
	Frequency time.Duration
}

// Parse reads a kernel's command line. identity names the node if it is not
// empty, else the command line must. Only words with exactly one equals sign
// are looked at, and of a repeated one the last counts. The error is
// [ErrNoToken] if the node has nothing to report.
func Parse(commandLine, identity string) (Node, error) {
	words := map[string]string{}
	for _, word := range strings.Fields(commandLine) {
		if name, value, ok := strings.Cut(word, "="); ok && !strings.Contains(value, "=") {
			words[name] = value
		}
	}
	n := Node{ID: identity, Token: words[wordToken], Frequency: DefaultFrequency}
	if n.ID == "" {
		n.ID = words[wordName]
	}
	if n.ID == "" {
		return n, errors.New("the node does not know its name: there is no " + wordName + " on the kernel's command line, and no NODE_IDENTITY")
	}
	if n.Token == "" {
		return n, ErrNoToken
	}
	if text, ok := words[wordFrequency]; ok {
		every, err := parseFrequency(text)
		if err != nil {
			return n, fmt.Errorf("%s on the kernel's command line: %w", wordFrequency, err)
		}
		n.Frequency = every
	}
	return n, nil
}

// maxFrequency keeps the sum of waits in range.
const maxFrequency = 100 * 365 * 24 * time.Hour

// parseFrequency reads a number with a unit: s, m, h, d or w, in either letter
// case.
func parseFrequency(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no time such as 30m, 4h or 1d", text)
	if len(text) < 2 {
		return 0, bad
	}
	unit, ok := map[byte]time.Duration{
		's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
	}[text[len(text)-1]|0x20]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !ok || err != nil {
		return 0, bad
	}
	if n > uint64(maxFrequency/unit) {
		return maxFrequency, nil
	}
	return time.Duration(n) * unit, nil
}

// Reporter reports one node.
type Reporter struct {
	Node Node
	// Send makes one report and returns why it was not taken. It bounds its own
	// time.
	Send func(ctx context.Context, n Node) error
	Log  *slog.Logger
	// Random returns a number in [0, 1); nil takes a good one.
	Random func() float64
}

// Run reports at once, with retries for as long as it takes, and then every
// three quarters of the frequency. The first of these waits is of random length,
// so that nodes which came up together don't report together for ever. It
// returns nil after the only report of a node with frequency 0, else when ctx
// ends.
func (r *Reporter) Run(ctx context.Context) error {
	random := r.Random
	if random == nil {
		random = rand.Float64
	}
	every := r.Node.Frequency / 4 * 3
	wait := time.Duration(random() * float64(every))
	for {
		if err := r.report(ctx); err != nil {
			return err
		}
		if every == 0 {
			return nil
		}
		r.Log.Info("reported", slog.String("node", r.Node.ID), slog.Duration("next", wait.Round(time.Second)))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = every
	}
}

// report tries until BOS has taken the report or ctx ends. BOS refuses one while
// it is changing the node's state; that passes as an outage does.
func (r *Reporter) report(ctx context.Context) error {
	for pause := time.Duration(0); ; pause = min(pause+pauseStep, MaxPause) {
		err := r.Send(ctx, r.Node)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.Log.Warn("the report was not taken and is made again",
			slog.String("node", r.Node.ID), slog.Duration("pause", pause), slog.Any("error", err))
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// sleep waits, or returns early with the reason why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
