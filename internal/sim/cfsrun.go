// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// cfsRecord is what CFS knows of a node.
type cfsRecord struct {
	desired string
	// done is the configuration that the last run was for; failed says how it
	// ended. Both are empty where CFS knows of no run.
	done     string
	finished time.Duration
	// given are state layers that somebody else wrote.
	given   []json.RawMessage
	tags    map[string]string
	errors  int32
	retries int32
	// version counts what makes a running configuration pointless.
	version uint32
	present bool
	enabled bool
	failed  bool
	running bool
}

// layers is the state as CFS shows it on request.
func (c *cfsRecord) layers() []json.RawMessage {
	out := slices.Clone(c.given)
	if out == nil {
		out = []json.RawMessage{}
	}
	if c.done != "" {
		out = append(out, encoded(map[string]string{
			"commit": commitOf(c.done), "sessionName": "batcher-" + c.done,
			"status": pick(c.failed, "failed", "applied"),
		}))
	}
	return out
}

// cfsStatus computes the configuration status. The lock must be held.
func (s *Site) cfsStatus(i int32) string {
	c := &s.nodes[i].config
	if c.desired == "" || !s.configExists(c.desired) {
		return pick(c.done != "" || len(c.given) > 0, cfsConfigured, cfsUnconfigured)
	}
	switch {
	case c.retries >= 0 && c.errors >= c.retries && c.failed:
		return cfsFailed
	case c.done == c.desired && !c.failed:
		return cfsConfigured
	}
	return cfsPending
}

func (s *Site) configExists(name string) bool {
	return s.cfg.CFSConfigurations == nil || slices.Contains(s.cfg.CFSConfigurations, name)
}

// cfsApply changes a component. The lock must be held.
func (s *Site) cfsApply(i int32, p *cfsPatch) {
	c := &s.nodes[i].config
	if p.Enabled != nil {
		c.enabled = *p.Enabled
	}
	if p.Desired != nil {
		c.version += pick[uint32](c.desired != *p.Desired, 1, 0)
		c.desired = *p.Desired
		c.errors, c.failed = 0, false
	}
	if p.State != nil {
		c.given = slices.Clone(*p.State)
		c.done = ""
		if len(c.given) == 0 {
			c.errors, c.failed = 0, false
			c.version++
		}
	}
	if p.Errors != nil {
		c.errors = *p.Errors
	}
	if p.Retries != nil {
		c.retries = *p.Retries
	}
	for k, v := range p.Tags {
		switch {
		case v == "":
			delete(c.tags, k)
		case c.tags == nil:
			c.tags = map[string]string{k: v}
		default:
			c.tags[k] = v
		}
	}
	s.configure(i)
}

// configure starts a run where CFS would: for an enabled component that is not
// what it should be. The lock must be held.
func (s *Site) configure(i int32) {
	n := &s.nodes[i]
	c := &n.config
	if !c.present || !c.enabled || c.running || n.has(FaultConfigurationNeverEnds) ||
		c.desired == "" || s.cfsStatus(i) != cfsPending {
		return
	}
	c.running = true
	version, life := c.version, n.life
	s.after(s.configureDelay(i), func() { s.configured(i, version, life) })
}

// configured ends a run. It counts for nothing where the component was changed
// meanwhile, and fails where the node was not there all the time.
func (s *Site) configured(i int32, version, life uint32) {
	n := &s.nodes[i]
	c := &n.config
	c.running = false
	if c.version == version && c.enabled && c.present {
		good := n.boot.up && n.life == life && !n.has(FaultConfigurationFails)
		c.failed, c.finished = !good, s.now()
		if good {
			c.done, c.errors = c.desired, 0
		} else {
			c.errors++
		}
	}
	s.configure(i)
}

// cfsRetry is the pause of the program on a node that can't reach CFS, before
// scaling.
const cfsRetry = 10 * time.Second

// tellCFS is what a booted node says to CFS: nothing is configured yet. It tries
// until CFS takes it. The lock must be held.
func (s *Site) tellCFS(i int32, life uint32) {
	n := &s.nodes[i]
	if n.life != life {
		return
	}
	if !n.config.present || s.serviceFails("cfs", http.MethodPatch, "/v3/components/"+s.comps[i].id, i) {
		s.after(s.scaled(cfsRetry), func() { s.tellCFS(i, life) })
		return
	}
	enabled, state := true, []json.RawMessage{}
	s.cfsApply(i, &cfsPatch{Enabled: &enabled, State: &state})
}
