// SPDX-License-Identifier: MIT

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bos/internal/sim"
)

const (
	templateA, templateB = "bench-a", "bench-b"
	// sessionTimeout is how long a session of all nodes may take.
	sessionTimeout = 30 * time.Minute
	// runningPause, donePause and logPause are the pauses between two looks at
	// whether a session runs, is done, and has sent its first command.
	runningPause = 2 * time.Millisecond
	donePause    = 50 * time.Millisecond
	logPause     = 100 * time.Millisecond
	firstTimeout = 5 * time.Minute
	// settling is how long the server rests after a session before its memory is
	// read.
	settling = 2 * time.Second
)

// siteState is what is needed of the answer of the site's control.
type siteState struct {
	Counts   sim.Counts  `json:"counts"`
	URLs     sim.URLs    `json:"urls"`
	Images   []sim.Image `json:"images"`
	Hardware struct {
		Ready float64 `json:"ready_seconds"`
	} `json:"hardware"`
}

// sessions boots all nodes and reboots them into another image, and measures
// how long that takes and what memory the server needs for it.
func (r *run) sessions(ctx context.Context) error {
	var state siteState
	if err := r.site.into(ctx, "/sim/state", &state); err != nil {
		return err
	}
	if len(state.Images) < 2 {
		return errors.New("the simulated site has no two images")
	}
	r.size.Hardware = state.Hardware.Ready
	for i, name := range []string{templateA, templateB} {
		if err := r.putTemplate(ctx, name, state.Images[i]); err != nil {
			return err
		}
	}
	if err := r.postings(ctx); err != nil {
		return err
	}
	r.say("booting all nodes")
	boot, err := r.runSession(ctx, "bench-boot", "boot", templateA)
	if err != nil {
		return err
	}
	hardware := []float64{state.Hardware.Ready}
	r.out = append(r.out,
		measured{row: rowRunning, ours: []float64{boot.running}}, measured{row: rowFirstOn, ours: []float64{boot.firstOn}},
		measured{row: rowBoot, ours: []float64{boot.done}, limit: hardware})
	r.say("rebooting all nodes")
	if _, err := r.runSession(ctx, "bench-reboot", "reboot", templateB); err != nil {
		return err
	}
	if r.pid == 0 {
		return nil
	}
	if err := pause(ctx, settling); err != nil {
		return err
	}
	used, err := memoryOf(r.pid)
	if err != nil {
		return err
	}
	r.out = append(r.out, measured{row: rowMemory, ours: []float64{used.resident}}, measured{row: rowPeak, ours: []float64{used.peak}})
	r.note("memory: %.0f MiB of its own and %.0f MiB of files (the store's pages)", used.anonymous, used.file)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) putTemplate(ctx context.Context, name string, image sim.Image) error {
	body, err := json.Marshal(map[string]any{
		"enable_cfs": true,
		"cfs":        map[string]string{"configuration": "bench-config"},
		"boot_sets": map[string]any{"compute": map[string]any{
			"type": "s3", "path": image.ManifestPath, "etag": image.ETag, "kernel_parameters": benchParams,
			"node_roles_groups": []string{"Compute"}, "rootfs_provider": "sbps", "rootfs_provider_passthrough": "sbps:v1:iqn.2023-06.csm.iscsi",
		}},
	})
	if err != nil {
		return fmt.Errorf("encode a template: %w", err)
	}
	return r.bos.send(ctx, http.MethodPut, "/v2/sessiontemplates/"+name, body)
}

// postings measures what a client waits for who creates a session; these
// sessions are about a node that does not exist.
func (r *run) postings(ctx context.Context) error {
	r.say("%s", rowPostSession)
	i := 0
	m, err := inTurn(rowPostSession, r.cfg.Rounds, func() (float64, error) {
		i++
		return took(func() error { return r.post(ctx, "bench-post-"+strconv.Itoa(i), "boot", templateA, "x9999c7s7b1n1") })
	}, nil)
	return r.add(m, err)
}

func (r *run) post(ctx context.Context, name, operation, template, limit string) error {
	fields := map[string]string{"name": name, "operation": operation, "template_name": template}
	if limit != "" {
		fields["limit"] = limit
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode a session: %w", err)
	}
	err = r.bos.send(ctx, http.MethodPost, "/v2/sessions", body)
	if !refused(err, http.StatusConflict) {
		return err
	}
	// Of an earlier run.
	if err := r.bos.send(ctx, http.MethodDelete, "/v2/sessions/"+name, nil); err != nil {
		return err
	}
	return r.bos.send(ctx, http.MethodPost, "/v2/sessions", body)
}

// course is how a session went, in seconds from its POST.
type course struct {
	running, firstOn, done float64
}

// runSession runs a session of all nodes to its end.
func (r *run) runSession(ctx context.Context, name, operation, template string) (course, error) {
	var c course
	began := time.Now()
	if err := r.post(ctx, name, operation, template, ""); err != nil {
		return c, err
	}
	state := func(wanted ...string) func() (bool, error) {
		return func() (bool, error) {
			var session struct {
				Status struct {
					Status string `json:"status"`
				} `json:"status"`
			}
			if err := r.bos.into(ctx, "/v2/sessions/"+name, &session); err != nil {
				return false, err
			}
			for _, w := range wanted {
				if session.Status.Status == w {
					return true, nil
				}
			}
			return false, fmt.Errorf("session %s is %s", name, session.Status.Status)
		}
	}
	if err := until(ctx, nil, sessionTimeout, runningPause, state("running", "complete")); err != nil {
		return c, err
	}
	c.running = time.Since(began).Seconds()
	err := until(ctx, nil, firstTimeout, logPause, func() (bool, error) {
		var calls []sim.Call
		query := url.Values{"limit": {"1"}, "operation": {"On"}, "after": {began.Format(time.RFC3339Nano)}}
		if err := r.site.into(ctx, "/sim/log?"+query.Encode(), &calls); err != nil {
			return false, err
		}
		if len(calls) == 0 {
			return false, errors.New("no node was switched on")
		}
		c.firstOn = calls[0].Time.Sub(began).Seconds()
		return true, nil
	})
	if err != nil {
		return c, err
	}
	if err := until(ctx, nil, sessionTimeout, donePause, state("complete")); err != nil {
		return c, err
	}
	c.done = time.Since(began).Seconds()
	return c, r.allWell(ctx, name)
}

// allWell fails if a session did not bring every node to where it was to be.
func (r *run) allWell(ctx context.Context, name string) error {
	var status struct {
		Managed    int     `json:"managed_components_count"`
		Successful float64 `json:"percent_successful"`
		Failed     float64 `json:"percent_failed"`
	}
	if err := r.bos.into(ctx, "/v2/sessions/"+name+"/status", &status); err != nil {
		return err
	}
	if status.Managed != r.nodes || status.Successful < 100 {
		return fmt.Errorf("session %s: of %d nodes %g %% succeeded and %g %% failed", name, status.Managed, status.Successful, status.Failed)
	}
	return nil
}
