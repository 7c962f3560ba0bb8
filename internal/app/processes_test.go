// SPDX-License-Identifier: MIT

package app_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/decide"
	"bos/internal/sim"
)

// leads reports whether a process ever led in a role.
func (p *process) leads(role string) bool { return p.log.has("msg=leading", "operator="+role+" ") }

// An API and two sets of operators are processes of their own, on one store. Of
// the two only one acts in each role; when it ends the other one carries on.
func TestProcessesOnOneStore(t *testing.T) {
	site := newSite(t, sim.Config{Nodes: 32, Seed: 1})
	endpoint := cluster(t)
	outside := func(names ...string) func(*config.Config) {
		return func(c *config.Config) { c.EtcdEndpoints, c.Operators = []string{endpoint}, names }
	}
	api := start(t, app.Options{Site: site}, outside(config.None))
	one := start(t, app.Options{Site: site, NoAPI: true}, outside(config.All))
	if one.Addr() != "" {
		t.Errorf("a process without an API listens on %s", one.Addr())
	}
	api.discovered(site)
	for _, role := range decide.Roles() {
		until(t, "a leader for "+role, func() bool { return one.leads(role) })
	}
	two := start(t, app.Options{Site: site, NoAPI: true}, outside(config.All))

	api.template(site, "cfg")
	api.session("boot", "boot")
	until(t, "nodes are powering on", func() bool { return len(api.View().InStatus(bos.StatusPowerOnCalled)) > 0 })
	for _, role := range decide.Roles() {
		if two.leads(role) {
			t.Errorf("the second process took %s over from a living one", role)
		}
	}
	one.stop()
	for _, role := range decide.Roles() {
		until(t, "a successor for "+role, func() bool { return two.leads(role) })
	}
	api.complete(site, "boot")
	for id, n := range ons(site) {
		if n != 1 {
			t.Errorf("%s was switched on %d times", id, n)
		}
	}
}

// Operators can as well be one process each.
func TestOneOperatorEach(t *testing.T) {
	site := newSite(t, sim.Config{Nodes: 8, Seed: 1})
	endpoint := cluster(t)
	outside := func(names ...string) func(*config.Config) {
		return func(c *config.Config) { c.EtcdEndpoints, c.Operators = []string{endpoint}, names }
	}
	api := start(t, app.Options{Site: site}, outside(config.None))
	for _, role := range []string{decide.RolePowerOn, decide.RoleStatus} {
		start(t, app.Options{Site: site, NoAPI: true}, outside(role))
	}
	start(t, app.Options{Site: site, NoAPI: true}, outside(operators(decide.RolePowerOn, decide.RoleStatus)...))
	api.discovered(site)
	api.template(site, "cfg")
	api.session("boot", "boot")
	api.complete(site, "boot")
}

// A change of the options reaches every process by the store's watch, the log's
// level with it.
func TestOptionsEverywhere(t *testing.T) {
	site := newSite(t, sim.Config{Nodes: 1})
	endpoint := cluster(t)
	outside := func(c *config.Config) { c.EtcdEndpoints, c.Operators = []string{endpoint}, []string{config.None} }
	api := start(t, app.Options{Site: site}, outside)
	all := []*process{api}
	for range 2 {
		all = append(all, start(t, app.Options{Site: site, NoAPI: true}, outside))
	}
	for _, level := range []struct {
		name string
		want slog.Level
	}{{"DEBUG", slog.LevelDebug}, {"error", slog.LevelError}, {"INFO", slog.LevelInfo}} {
		api.do(http.MethodPatch, "/options", map[string]any{"logging_level": level.name, "max_boot_wait_time": 77})
		for _, p := range all {
			until(t, "the level "+level.name, func() bool {
				return p.level.Level() == level.want && p.View().Options().MaxBootWaitTime == 77
			})
		}
	}
	for i, p := range all {
		if !p.log.has("the log level changed", "level=INFO") {
			t.Errorf("process %d does not say that its log level changed", i)
		}
	}
}

// A site that has no CFS, no IMS and no TAPMS is served all the same: here one
// of OpenCHAMI's services, reached by their addresses.
func TestWithoutCFSAndIMSAndTAPMS(t *testing.T) {
	site := newSite(t, sim.Config{Nodes: 8, Seed: 1, Flavour: sim.OpenCHAMI})
	at := site.URLs()
	p := start(t, app.Options{}, func(c *config.Config) {
		c.DataDir = t.TempDir()
		c.HSMURL, c.PCSURL, c.BSSURL = at.HSM, at.PCS, at.BSS
		c.CFSURL, c.IMSURL, c.TAPMSURL = config.None, config.None, config.None
		c.S3Gateway, c.S3AccessKey, c.S3SecretKey = at.S3Endpoint, config.Secret(at.S3AccessKey), config.Secret(at.S3SecretKey)
	})
	site.SetBOS(p.URL(), nil)
	p.discovered(site)
	// The configuration that nobody can apply counts as applied.
	p.template(site, "cfg")
	p.session("boot", "boot")
	p.complete(site, "boot")
	calls := site.Stats().Calls
	for _, service := range []string{"cfs", "ims", "tapms"} {
		if calls[service] > 0 {
			t.Errorf("%s was called %d times", service, calls[service])
		}
	}
	if status, answer, err := p.try(http.MethodGet, "/components", "some-tenant", nil); err != nil ||
		status != http.StatusBadRequest || !strings.Contains(string(answer), "Invalid tenant") {
		t.Errorf("a request of a tenant: %d %s %v", status, answer, err)
	}
}
