// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"slices"
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
	t.project(ctx, a)
	t.bootParameters(ctx, a)
	if t.CFS != nil {
		t.configurations(ctx, a)
	}
}

// The metadata by which an IMS image is projected with SBPS.
const (
	projectKey   = "sbps-project"
	projectValue = "true"
)

// project has the images projected from which nodes boot by SBPS.
func (t *powerTerm) project(ctx context.Context, a *act) {
	for _, g := range a.batch.Images {
		ids := a.still(g.Nodes)
		if len(ids) == 0 {
			continue
		}
		var r call.Result
		switch err := t.IMS.Tag(ctx, g.ImageID, projectKey, projectValue); {
		case err == nil:
			r.Accepted = [][]string{ids}
		case call.IsRefused(err) || bos.IsNotFound(err):
			text := bos.Errorf(bos.CodeInvalid, "ims did not let the image '%s' be projected: %s", g.ImageID, bos.UserText(err))
			r.Refused = map[string]error{}
			for _, id := range ids {
				r.Refused[id] = text
			}
		default:
			r.Untried, r.Away = ids, err
		}
		t.outcome(a, decide.ServiceIMS, r)
	}
}

// bootParameters tells BSS what the nodes boot. The token by which a node
// reports goes into the parameters there and nowhere else.
func (t *powerTerm) bootParameters(ctx context.Context, a *act) {
	timeout := time.Duration(t.View.Options().BSSReadTimeout) * time.Second
	for i, g := range a.batch.Boots {
		params := g.Artifacts.KernelParameters.Value() + " " + bos.ReferralToken + "=" + a.tokens[i]
		for _, ids := range parts(a.still(g.Nodes), bss.HostsPerRequest(timeout)) {
			done := t.each(ctx, a, decide.ServiceBSS, t.BSS.Puts(), ids, func(ctx context.Context, part []string) error {
				return t.BSS.PutBootParameters(ctx, bss.Params{
					Hosts: part, Kernel: g.Artifacts.Kernel.Value(), Initrd: g.Artifacts.Initrd.Value(), Params: params,
				}, a.ID)
			})
			if !done {
				return
			}
		}
	}
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
		done := t.each(ctx, a, decide.ServiceCFS, t.CFS.Patches(), a.still(g.Nodes), func(ctx context.Context, part []string) error {
			return t.CFS.Patch(ctx, part, change)
		})
		if !done {
			return
		}
	}
}

// each has a service do something for nodes. If the service goes away, that is
// the end of the act for all its nodes, and it returns false.
func (t *powerTerm) each(
	ctx context.Context, a *act, service string, sizer *call.Sizer, ids []string, do func(context.Context, []string) error,
) bool {
	if len(ids) == 0 {
		return true
	}
	r := sizer.Bisect(ctx, ids, do)
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
