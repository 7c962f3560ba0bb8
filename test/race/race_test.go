// SPDX-License-Identifier: MIT

// Package race lets clients do contradictory things at the same moment, many
// thousand times, and counts what was lost. The original lost 40 of 100 rounds
// of two PATCHes, accepted one session name twice in 47 of 100, and brought a
// deleted session back in 24 of 100.
package race_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bos/internal/sim"
	"bos/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// rounds is how often each race is run every day; make race-test runs more.
const rounds = 200

// parallel is how many rounds are on their way at once.
const parallel = 8

// errAway says that a server could not answer, as it may when the machine is
// busy: whether something was lost can't be seen in that round.
var errAway = errors.New("a server could not answer")

// race runs rounds, some at once, and reports how many lost something. A round
// in which a server could not answer is run again, under another number.
func race(t *testing.T, name string, round func(ctx context.Context, i int) error) {
	t.Helper()
	n := rig.Number(t, "TEST_RACE_ROUNDS", rounds)
	begun := time.Now()
	var lost, next, again, done atomic.Int64
	var running sync.WaitGroup
	for range parallel {
		running.Go(func() {
			for done.Add(1) <= int64(n) {
				i := int(next.Add(1))
				err := round(t.Context(), i)
				switch {
				case errors.Is(err, errAway) && again.Add(1) <= int64(n):
					done.Add(-1)
				case err != nil && lost.Add(1) <= 10:
					t.Errorf("%s, round %d: %v", name, i, err)
				}
			}
		})
	}
	running.Wait()
	t.Logf("%s: %d rounds, %d lost, %d run again, %v", name, n, lost.Load(), again.Load(), time.Since(begun).Round(time.Millisecond))
}

// together makes calls at the same moment, to servers in turn.
func together(ctx context.Context, calls ...func(server int) (rig.Answer, error)) ([]rig.Answer, error) {
	answers := make([]rig.Answer, len(calls))
	faults := make([]error, len(calls))
	start := make(chan struct{})
	var running sync.WaitGroup
	for i, call := range calls {
		running.Go(func() {
			<-start
			answers[i], faults[i] = call(i)
		})
	}
	close(start)
	running.Wait()
	for _, answer := range answers {
		if answer.Status >= http.StatusInternalServerError {
			faults = append(faults, fmt.Errorf("%w: %d %s", errAway, answer.Status, answer.Body))
		}
	}
	return answers, errors.Join(append(faults, ctx.Err())...)
}

// races are the races of a BOS behind an API.
func races(t *testing.T, a *rig.API) {
	a.Do(http.MethodPut, "/v2/sessiontemplates/t", map[string]any{"boot_sets": map[string]any{
		"all": map[string]any{"type": "s3", "path": "s3://boot-images/1/manifest.json", "node_list": []string{"x1"}},
	}})
	one := func(ctx context.Context, server int, method, path string, body any) (rig.Answer, error) {
		answer, err := a.Ask(ctx, server, method, path, body)
		if err == nil && answer.Status >= http.StatusInternalServerError {
			err = fmt.Errorf("%w: %d %s", errAway, answer.Status, answer.Body)
		}
		return answer, err
	}
	ask := func(ctx context.Context, method, path string, body any) func(int) (rig.Answer, error) {
		return func(server int) (rig.Answer, error) { return a.Ask(ctx, server, method, path, body) }
	}
	must := func(answer rig.Answer, err error, status int) error {
		if err == nil && answer.Status != status {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	}

	t.Run("two PATCHes of one component", func(t *testing.T) {
		race(t, t.Name(), func(ctx context.Context, i int) error {
			path := fmt.Sprintf("/v2/components/x%d", i)
			created, err := one(ctx, i, http.MethodPut, path, `{"enabled":false}`)
			if err := must(created, err, http.StatusOK); err != nil {
				return err
			}
			answers, err := together(ctx,
				ask(ctx, http.MethodPatch, path, map[string]any{"error": fmt.Sprint("e", i)}),
				ask(ctx, http.MethodPatch, path, map[string]any{"retry_policy": i}))
			for _, answer := range answers {
				err = errors.Join(err, must(answer, nil, http.StatusOK))
			}
			if err != nil {
				return err
			}
			for server := range 2 {
				var got struct {
					Error       string `json:"error"`
					RetryPolicy int    `json:"retry_policy"`
				}
				answer, err := one(ctx, server, http.MethodGet, path, nil)
				if err == nil {
					err = answer.Into(&got)
				}
				if err != nil || got.Error != fmt.Sprint("e", i) || got.RetryPolicy != i {
					return fmt.Errorf("one is lost: %s, %w", answer.Body, err)
				}
			}
			return nil
		})
	})

	t.Run("four POSTs of one session name", func(t *testing.T) {
		race(t, t.Name(), func(ctx context.Context, i int) error {
			body := map[string]any{"name": fmt.Sprint("s", i), "operation": "shutdown", "template_name": "t"}
			post := ask(ctx, http.MethodPost, "/v2/sessions", body)
			answers, err := together(ctx, post, post, post, post)
			if err != nil {
				return err
			}
			created := 0
			for _, answer := range answers {
				switch answer.Status {
				case http.StatusCreated:
					created++
				case http.StatusConflict:
				default:
					return fmt.Errorf("%d %s", answer.Status, answer.Body)
				}
			}
			if created != 1 {
				return fmt.Errorf("%d of four were created", created)
			}
			return nil
		})
	})

	// What was deleted is gone, whatever the others did at the same moment.
	gone := func(ctx context.Context, path string, answers []rig.Answer) error {
		switch deleted := answers[0]; {
		case deleted.Status != http.StatusNoContent:
			return fmt.Errorf("delete: %d %s", deleted.Status, deleted.Body)
		}
		for _, answer := range answers[1:] {
			if answer.Status != http.StatusOK && answer.Status != http.StatusNotFound {
				return fmt.Errorf("update: %d %s", answer.Status, answer.Body)
			}
		}
		for server := range 2 {
			if answer, err := one(ctx, server, http.MethodGet, path, nil); err != nil || answer.Status != http.StatusNotFound {
				return fmt.Errorf("it is back: %d %s, %w", answer.Status, answer.Body, err)
			}
		}
		return nil
	}

	t.Run("delete and update of a session", func(t *testing.T) {
		race(t, t.Name(), func(ctx context.Context, i int) error {
			path := fmt.Sprint("/v2/sessions/d", i)
			created, err := one(ctx, i, http.MethodPost, "/v2/sessions",
				map[string]any{"name": fmt.Sprint("d", i), "operation": "shutdown", "template_name": "t"})
			if err := must(created, err, http.StatusCreated); err != nil {
				return err
			}
			answers, err := together(ctx,
				ask(ctx, http.MethodDelete, path, nil),
				ask(ctx, http.MethodPatch, path, map[string]any{"components": "x1"}),
				ask(ctx, http.MethodPost, path+"/status", map[string]any{}),
				ask(ctx, http.MethodPatch, path, map[string]any{"status": map[string]any{"status": "running"}}))
			if err != nil {
				return err
			}
			return gone(ctx, path, answers)
		})
	})

	t.Run("delete and update of a session template", func(t *testing.T) {
		set := func(name string) map[string]any {
			return map[string]any{"boot_sets": map[string]any{
				name: map[string]any{"type": "s3", "path": "s3://boot-images/1/manifest.json", "node_list": []string{"x1"}},
			}}
		}
		race(t, t.Name(), func(ctx context.Context, i int) error {
			path := fmt.Sprint("/v2/sessiontemplates/d", i)
			created, err := one(ctx, i, http.MethodPut, path, set("first"))
			if err := must(created, err, http.StatusOK); err != nil {
				return err
			}
			// Of two changes none is lost.
			answers, err := together(ctx, ask(ctx, http.MethodPatch, path, set("second")), ask(ctx, http.MethodPatch, path, set("third")))
			if err = errors.Join(err, must(answers[0], nil, http.StatusOK), must(answers[1], nil, http.StatusOK)); err != nil {
				return err
			}
			now, err := one(ctx, i, http.MethodGet, path, nil)
			if err != nil || strings.Count(string(now.Body), "manifest.json") != 3 {
				return fmt.Errorf("one is lost: %s, %w", now.Body, err)
			}
			answers, err = together(ctx,
				ask(ctx, http.MethodDelete, path, nil),
				ask(ctx, http.MethodPatch, path, set("fourth")), ask(ctx, http.MethodPatch, path, map[string]any{"description": "late"}))
			if err != nil {
				return err
			}
			return gone(ctx, path, answers)
		})
	})
}

// One server, its operators at work beside.
func TestOne(t *testing.T) {
	address := rig.Address(t)
	args, environ := rig.SiteArgs(rig.Site(t, sim.Config{Nodes: 4, TimeScale: 0.01}))
	p := rig.New(t, "bosd", environ, append([]string{"serve", "--listen", address, "--data-dir", t.TempDir()}, args...)...)
	p.Start()
	a := rig.NewAPI(t, address)
	a.Ready(0)
	races(t, a)
}

// Three servers, each contender at another one.
func TestThree(t *testing.T) {
	site := rig.Site(t, sim.Config{Nodes: 4, TimeScale: 0.01})
	races(t, rig.NewCluster(t, site).API)
}
