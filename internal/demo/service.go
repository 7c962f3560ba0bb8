// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bos/internal/bos"
	"bos/internal/client"
	"bos/internal/sim"
)

// step is one operation of the demonstration.
type step struct {
	operation bos.Operation
	session   string
	template  string
	// image and configuration are what the nodes run afterwards; empty for off.
	image         sim.Image
	configuration string
}

// The names of what the demonstration puts into BOS. The group is one that the
// simulated HSM has.
const (
	firstTemplate  = "demo-first"
	secondTemplate = "demo-second"
	firstConfig    = "demo-config-1"
	secondConfig   = "demo-config-2"
	nodeGroup      = "compute-all"
)

// steps returns the operations in their order.
func (d *Demo) steps() []step {
	return []step{
		{bos.OperationBoot, "demo-boot", firstTemplate, d.images[0], firstConfig},
		{bos.OperationReboot, "demo-reboot", secondTemplate, d.images[1], secondConfig},
		{bos.OperationShutdown, "demo-shutdown", secondTemplate, sim.Image{}, ""},
	}
}

// pause waits, or returns why it must not.
func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The pauses between two looks at BOS: a look may cost a part of the machine's
// time only.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 5 * time.Second
	pauseShare    = 4
)

func pauseAfter(look time.Duration) time.Duration {
	return min(max(shortestPause, pauseShare*look), longestPause)
}

// impatience is how long BOS may say that it can't answer now.
const impatience = 30 * time.Second

// patiently repeats a request for as long as BOS says that it can't answer now,
// which it does rather than give an answer that is out of date. again says that
// it is not the first time.
func patiently(ctx context.Context, ask func(again bool) error) error {
	begun := time.Now()
	for again := false; ; again = true {
		err := ask(again)
		if statusOf(err) != http.StatusServiceUnavailable || time.Since(begun) > impatience {
			return err
		}
		if err := pause(ctx, shortestPause); err != nil {
			return err
		}
	}
}

// statusOf returns the HTTP status of an answer that is an error; 0 for any
// other error.
func statusOf(err error) int {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// createSession starts an operation.
func (d *Demo) createSession(ctx context.Context, s step) error {
	body, err := json.Marshal(map[string]string{
		"name": s.session, "operation": string(s.operation), "template_name": s.template,
	})
	if err != nil {
		return err
	}
	err = patiently(ctx, func(again bool) error {
		_, err := d.client.CreateSession(ctx, body)
		if again && statusOf(err) == http.StatusConflict {
			return nil // it was created, and only the answer was missing
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create the session: %w", err)
	}
	return nil
}

// session returns a session.
func (d *Demo) session(ctx context.Context, name string) (session bos.Session, err error) {
	err = patiently(ctx, func(bool) error {
		raw, err := d.client.Session(ctx, name)
		if err == nil {
			session, err = client.Decode[bos.Session](raw)
		}
		return err
	})
	if err != nil {
		return session, fmt.Errorf("ask for the session: %w", err)
	}
	return session, nil
}

// discovered waits until BOS knows every node of the site.
func (d *Demo) discovered(ctx context.Context) error {
	want := len(d.nodes) + len(d.site.OtherNodes())
	for {
		begun := time.Now()
		known, err := d.components(ctx, url.Values{})
		if err != nil {
			return fmt.Errorf("list the components: %w", err)
		}
		d.show(func(p *Progress) { p.Doing = fmt.Sprintf("BOS has discovered %d of %d nodes", len(known), want) })
		if len(known) >= want {
			return nil
		}
		if err := pause(ctx, pauseAfter(time.Since(begun))); err != nil {
			return err
		}
	}
}

// setOptions makes BOS wait as long as suits the demonstration.
func (d *Demo) setOptions(ctx context.Context) error {
	body, err := json.Marshal(d.waits.options())
	if err != nil {
		return err
	}
	err = patiently(ctx, func(bool) error {
		_, err := d.client.PatchOptions(ctx, body)
		return err
	})
	if err != nil {
		return fmt.Errorf("set the options: %w", err)
	}
	d.show(func(p *Progress) { p.Options = d.waits.String() })
	return nil
}

// putTemplates puts the templates of the two images.
func (d *Demo) putTemplates(ctx context.Context) error {
	for i, s := range d.steps()[:2] {
		body, err := json.Marshal(map[string]any{
			"description": fmt.Sprintf("all compute nodes, image %d of the demonstration", i+1),
			"cfs":         map[string]string{"configuration": s.configuration},
			"boot_sets": map[string]any{"compute": map[string]any{
				"type": "s3", "path": s.image.ManifestPath, "etag": s.image.ETag,
				"node_groups": []string{nodeGroup}, "rootfs_provider": "sbps",
			}},
		})
		if err != nil {
			return err
		}
		err = patiently(ctx, func(bool) error {
			_, err := d.client.PutTemplate(ctx, s.template, body)
			return err
		})
		if err != nil {
			return fmt.Errorf("put session template %s: %w", s.template, err)
		}
	}
	return nil
}

// components lists components.
func (d *Demo) components(ctx context.Context, filter url.Values) (out []bos.Component, err error) {
	err = patiently(ctx, func(bool) error {
		stream, err := d.client.Components(ctx, filter)
		if err != nil {
			return err
		}
		out = nil
		for c, err := range client.Each[bos.Component](stream) {
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return nil
	})
	return out, err
}

// pageSize is how many components that are in flight one look shows.
const pageSize = 500

// look is what BOS says of a session at one moment.
type look struct {
	status bos.ExtendedStatus
	// inFlight are components that BOS still drives, those after the id from up
	// to the last one; whole says that there are no further ones.
	inFlight []bos.Component
	from     string
	whole    bool
	// failed are those that BOS has given up.
	failed []bos.Component
	took   time.Duration
}

// look asks how far a session is. Of many nodes in flight it asks for one page,
// the one after an id.
func (d *Demo) look(ctx context.Context, session, after string) (look, error) {
	begun := time.Now()
	l := look{from: after}
	err := patiently(ctx, func(bool) error {
		raw, err := d.client.SessionStatus(ctx, session)
		if err == nil {
			l.status, err = client.Decode[bos.ExtendedStatus](raw)
		}
		return err
	})
	if err != nil {
		return l, fmt.Errorf("ask for the status of the session: %w", err)
	}
	filter := url.Values{"session": {session}, "enabled": {"true"}, "page_size": {strconv.Itoa(pageSize)}}
	if after != "" {
		filter.Set("start_after_id", after)
	}
	if l.inFlight, err = d.components(ctx, filter); err != nil {
		return l, fmt.Errorf("list the components in flight: %w", err)
	}
	l.whole = len(l.inFlight) < pageSize
	l.failed, err = d.components(ctx, url.Values{
		"session": {session}, "enabled": {"false"}, "status": {string(bos.StatusFailed) + "," + string(bos.StatusOnHold)},
	})
	if err != nil {
		return l, fmt.Errorf("list the components that failed: %w", err)
	}
	l.took = time.Since(begun)
	return l, nil
}

// cancel has BOS stop driving components, as an administrator would.
func (d *Demo) cancel(ctx context.Context, ids []string) error {
	err := patiently(ctx, func(bool) error {
		stream, err := d.client.PatchComponents(ctx, ids, json.RawMessage(`{"enabled":false}`), true)
		if err == nil {
			err = stream.Close()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cancel components: %w", err)
	}
	return nil
}
