// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/upstream/bss"
	"bos/internal/upstream/call"
	"bos/internal/upstream/cfs"
)

// prepare makes the services ready for a power-on: the image is projected, BSS
// knows what the nodes boot, CFS what they are configured with. A node for
// which one of them says no gets no further call.
func (t *powerTerm) prepare(ctx context.Context, a *act) {
	if !t.project(ctx, a) || !t.bootParameters(ctx, a) || t.CFS == nil {
		return
	}
	t.configurations(ctx, a)
}

// The metadata by which an IMS image is projected with SBPS.
const (
	projectKey   = "sbps-project"
	projectValue = "true"
)

// project has the images projected from which nodes boot by SBPS. Like the
// other preparations it returns false if that was the end of the command.
func (t *powerTerm) project(ctx context.Context, a *act) bool {
	for _, g := range a.batch.Images {
		t.dropReplaced(a)
		ids := a.still(g.Nodes)
		if len(ids) == 0 {
			continue
		}
		var r call.Result
		switch err := t.tag(ctx, a, g.ImageID, ids); {
		case err == nil:
			r.Accepted = [][]string{ids}
		case call.IsRefused(err):
			text := bos.Errorf(bos.CodeInvalid, "ims did not let the image '%s' be projected: %s", g.ImageID, bos.UserText(err))
			r.Refused = map[string]error{}
			for _, id := range ids {
				r.Refused[id] = text
			}
		default:
			r.Untried, r.Away = ids, err
		}
		if !t.prepared(a, decide.ServiceIMS, r) {
			return false
		}
	}
	return true
}

// tag has one image projected, once in a pass: the commands of a pass share what
// IMS said.
func (t *powerTerm) tag(ctx context.Context, a *act, image string, ids []string) error {
	return a.tags.once(image, func() error {
		ctx, err := t.guard(ctx, a, ids)
		if err != nil {
			return err
		}
		return t.IMS.Tag(ctx, image, projectKey, projectValue, a.ID)
	})
}

// tags is what IMS said of images in a pass.
type tags struct {
	mu     sync.Mutex
	images map[string]*tagged
}

type tagged struct {
	mu   sync.Mutex
	done bool
	err  error
}

func newTags() *tags { return &tags{images: map[string]*tagged{}} }

// once returns what tagging an image led to. A command that was given up says
// nothing about the image.
func (t *tags) once(image string, tag func() error) error {
	t.mu.Lock()
	i := t.images[image]
	if i == nil {
		i = &tagged{}
		t.images[image] = i
	}
	t.mu.Unlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done {
		return i.err
	}
	err := tag()
	var e *call.Error
	if i.done = !errors.As(err, &e) || e.Kind != call.Canceled; i.done {
		i.err = err
	}
	return err
}

// bootParameters tells BSS what the nodes boot. The token by which a node
// reports goes into the parameters there and nowhere else.
func (t *powerTerm) bootParameters(ctx context.Context, a *act) bool {
	timeout := time.Duration(t.View.Options().BSSReadTimeout) * time.Second
	for i, g := range a.batch.Boots {
		t.dropReplaced(a)
		params := g.Artifacts.KernelParameters.Value() + " " + bos.ReferralToken + "=" + a.tokens[i]
		for _, ids := range parts(a.still(g.Nodes), bss.HostsPerRequest(timeout)) {
			done := t.each(ctx, a, decide.ServiceBSS, t.BSS.Puts(), ids, func(ctx context.Context, part []string) error {
				return t.BSS.PutBootParameters(ctx, bss.Params{
					Hosts: part, Kernel: g.Artifacts.Kernel.Value(), Initrd: g.Artifacts.Initrd.Value(), Params: params,
				}, a.ID)
			})
			if !done {
				return false
			}
		}
	}
	return true
}

// configurations tells CFS what the nodes are to be configured with, and to
// wait until they are up.
func (t *powerTerm) configurations(ctx context.Context, a *act) {
	off := false
	for _, g := range a.batch.Configs {
		change := cfs.Change{
			DesiredConfig: &g.Configuration, Enabled: &off, ClearState: true,
			Tags: map[string]string{"bos_session": g.Session},
		}
		t.dropReplaced(a)
		done := t.each(ctx, a, decide.ServiceCFS, t.CFS.Patches(), a.still(g.Nodes), func(ctx context.Context, part []string) error {
			return t.CFS.Patch(ctx, part, change, a.ID)
		})
		if !done {
			return
		}
	}
}

// each has a service do something for nodes, in parts if it refuses them
// together.
func (t *powerTerm) each(
	ctx context.Context, a *act, service string, sizer *call.Sizer, ids []string, do func(context.Context, []string) error,
) bool {
	if len(ids) == 0 {
		return true
	}
	return t.prepared(a, service, sizer.Bisect(ctx, ids, func(ctx context.Context, part []string) error {
		ctx, err := t.guard(ctx, a, part)
		if err != nil {
			return err
		}
		return do(ctx, part)
	}))
}

// prepared notes what became of a preparation. If the service went away, or the
// command must not go on, that is its end for all its nodes, and it returns
// false.
func (t *powerTerm) prepared(a *act, service string, r call.Result) bool {
	if r.Away != nil {
		untried := bos.NewSet(r.Untried...)
		for id := range a.nodes {
			if r.Refused[id] == nil && !untried.Has(id) {
				r.Untried = append(r.Untried, id)
			}
		}
	}
	t.outcome(a, service, r)
	return r.Away == nil
}

func parts(ids []string, size int) [][]string { return slices.Collect(slices.Chunk(ids, size)) }
