// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"encoding/json"
	"fmt"
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
	pauseShare    = 4
)

func pauseAfter(look time.Duration) time.Duration { return max(shortestPause, pauseShare*look) }

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
	if _, err := d.client.PatchOptions(ctx, body); err != nil {
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
		if _, err := d.client.PutTemplate(ctx, s.template, body); err != nil {
			return fmt.Errorf("put session template %s: %w", s.template, err)
		}
	}
	return nil
}

// components lists components.
func (d *Demo) components(ctx context.Context, filter url.Values) ([]bos.Component, error) {
	stream, err := d.client.Components(ctx, filter)
	if err != nil {
		return nil, err
	}
	var out []bos.Component
	for c, err := range client.Each[bos.Component](stream) {
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// pageSize is how many components that are in flight one look shows.
const pageSize = 500

// look is what BOS says of a session at one moment.
type look struct {
	status  bos.ExtendedStatus
	session bos.Session
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
	raw, err := d.client.SessionStatus(ctx, session)
	if err == nil {
		l.status, err = client.Decode[bos.ExtendedStatus](raw)
	}
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
	stream, err := d.client.PatchComponents(ctx, ids, json.RawMessage(`{"enabled":false}`), true)
	if err != nil {
		return fmt.Errorf("cancel components: %w", err)
	}
	return stream.Close()
}
