// SPDX-License-Identifier: MIT

package bench

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"bos/internal/bos"
)

const (
	// benchSession is the session that a tenth of the components belong to; it
	// does not exist.
	benchSession = "bench-tenth"
	// bulk is how many components a bulk write is about.
	bulk = 1000
	// fleetCabinet is the first cabinet of components that stand for no node of
	// a site.
	fleetCabinet = 8000
)

// The parts of a component of usual size: kernel parameters as a site of this
// kind has them.
const (
	benchImage  = "s3://boot-images/0b6f1f3c-5b0e-4a4f-8f9e-7a1a6b2c9d10"
	benchRootfs = "root=sbps-s3:" + benchImage + "/rootfs:3f0a7a9fd8f5c8e0b4f0c5d2a1b7e6d3-186:sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.my.system.net:ow"
	benchParams = "console=ttyS0,115200 bad_page=panic crashkernel=512M hugepagelist=2m-2g intel_iommu=off intel_pstate=disable " +
		"iommu.passthrough=on modprobe.blacklist=amdgpu numa_interleave_omit=headless oops=panic pageblock_order=14 rd.neednet=1 " +
		"rd.retry=10 rd.shell ip=dhcp quiet ksocklnd.skip_mr_route_setup=1 cxi_core.disable_default_svc=0 " +
		"cxi_core.enable_fgfc=1 spire_join_token=${SPIRE_JOIN_TOKEN} " + benchRootfs +
		" nmd_data=url=" + benchImage + "/rootfs,etag=3f0a7a9fd8f5c8e0b4f0c5d2a1b7e6d3-186 bos_update_frequency=4h"
)

// document is component i of so many as the benchmark stores it: of usual size,
// idle, and different in each round.
func document(ids []string) docs {
	artifacts := bos.Some(bos.BootArtifacts{
		Kernel: bos.Some(benchImage + "/kernel"), Initrd: bos.Some(benchImage + "/initrd"),
		KernelParameters: bos.Some(benchParams + " bos_session_id=" + benchSession),
	})
	const token = "8d1b7f6e-2c34-4f5a-9b0d-6a7c8e9f0a1b"
	stamp := bos.Some("2025-01-02T03:04:05")
	configuration := bos.Some("compute-config-1.2.3")
	return func(i, round int) bos.Component {
		c := bos.Component{
			ID:           ids[i],
			ActualState:  bos.Some(bos.ActualState{BootArtifacts: artifacts, BSSToken: bos.Some(token), LastUpdated: stamp}),
			DesiredState: bos.Some(bos.DesiredState{BootArtifacts: artifacts, Configuration: configuration, BSSToken: bos.Some(token), LastUpdated: stamp}),
			StagedState:  bos.Some(bos.StagedState{LastUpdated: stamp}),
			LastAction:   bos.Some(bos.LastAction{Action: bos.Some(bos.ActionPoweringOn), Failed: bos.Some(false), LastUpdated: stamp}),
			EventStats:   bos.Some(bos.EventStats{PowerOnAttempts: bos.Some(1), PowerOffGracefulAttempts: bos.Some(0), PowerOffForcefulAttempts: bos.Some(0)}),
			Status:       bos.Some(bos.Status{Phase: bos.Some(bos.PhaseNone), StatusOverride: bos.Some("")}),
			Enabled:      bos.Some(false),
			Error:        bos.Some("round " + strconv.Itoa(round)),
			Session:      bos.Some("bench-others"),
			RetryPolicy:  bos.Some(3),
		}
		if i%10 == 0 {
			c.Session = bos.Some(benchSession)
		}
		return c
	}
}

// sendable leaves out of a component what only the server writes.
func sendable(c bos.Component) bos.Component {
	actual, desired, staged, last := c.ActualState.Value(), c.DesiredState.Value(), c.StagedState.Value(), c.LastAction.Value()
	none := bos.Opt[string]{}
	actual.LastUpdated, desired.LastUpdated, staged.LastUpdated, last.LastUpdated = none, none, none, none
	c.ActualState, c.DesiredState, c.StagedState, c.LastAction = bos.Some(actual), bos.Some(desired), bos.Some(staged), bos.Some(last)
	return c
}

// putBody is the body of a PUT of some components.
func putBody(docs docs, from, count, round int) ([]byte, error) {
	list := make([]bos.Component, 0, count)
	for i := range count {
		list = append(list, sendable(docs(from+i, round)))
	}
	body, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode components: %w", err)
	}
	return body, nil
}

// change is what a PATCH changes: something small, other in each round.
type change struct {
	Error string `json:"error"`
}

func changed(round int) change { return change{"round " + strconv.Itoa(round)} }

// patchBody is the body of a PATCH of some components by their ids.
func patchBody(ids []string, round int) ([]byte, error) {
	body, err := json.Marshal(map[string]any{
		"patch":   changed(round),
		"filters": map[string]string{"ids": strings.Join(ids, ",")},
	})
	if err != nil {
		return nil, fmt.Errorf("encode a patch: %w", err)
	}
	return body, nil
}

// fleetIDs are the names of components that stand for no node.
func fleetIDs(count int) []string {
	out := make([]string, count)
	for i := range out {
		node, rest := i%4, i/4
		slot, rest := rest%8, rest/8
		chassis, cabinet := rest%8, rest/8
		out[i] = fmt.Sprintf("x%dc%ds%db%dn%d", fleetCabinet+cabinet, chassis, slot, node/2, node%2)
	}
	return out
}

// docs makes component i of a fleet as it is written in a round.
type docs func(i, round int) bos.Component
