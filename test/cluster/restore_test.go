// SPDX-License-Identifier: MIT

package cluster_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bos/internal/sim"
	"bos/test/rig"
)

// A copy that was taken in the midst of a session, restored onto an empty folder
// after everything else was lost, carries the session on to its end: also what
// happened at the site since the copy was taken is found out.
func TestRestoreCarriesOn(t *testing.T) {
	t.Parallel()
	site := rig.Site(t, sim.Config{Nodes: rig.Number(t, "TEST_CLUSTER_NODES", everydayNodes), TimeScale: timeScale, PoweredOn: true})
	dir := t.TempDir()
	address := rig.Address(t)
	args, environ := rig.SiteArgs(site)
	serve := func(name string) *rig.Process {
		return rig.New(t, name, environ, append([]string{"serve", "--listen", address, "--data-dir", filepath.Join(dir, name)}, args...)...)
	}
	site.SetBOS("http://"+address, nil)
	lost := serve("lost")
	lost.Start()
	f := &fleet{Cluster: &rig.Cluster{API: rig.NewAPI(t, address)}, t: t, site: site, nodes: site.Nodes()}
	f.Ready(0)
	f.prepare()
	begun := time.Now()
	f.session("reboot", "reboot")
	f.Until(time.Minute, "the nodes go off", func() error {
		if site.Stats().Transitions == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	copied := filepath.Join(dir, "copy.gz")
	rig.Command(t, nil, "backup", "--data-dir", lost.DataDir(), copied)
	// The site goes on, with reports and commands of which the copy knows nothing.
	f.Until(time.Minute, "nodes are switched on", func() error {
		for _, call := range site.Log() {
			if call.Operation == "On" {
				return nil
			}
		}
		return errors.New("none yet")
	})
	lost.Kill()
	lost.Wipe()
	if _, err := os.Stat(lost.DataDir()); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	restored := serve("restored")
	rig.Command(t, nil, "restore", "--data-dir", restored.DataDir(), copied)
	restored.Start()
	f.Ready(0)
	var s struct {
		Status struct{ Status string }
	}
	if f.Get("/v2/sessions/reboot", &s); s.Status.Status == "complete" {
		t.Error("the copy was not of a session that was under way")
	}
	f.complete("reboot")
	for i, v := range site.Violations() {
		if i < 20 {
			t.Errorf("%s %s: %s", v.Rule, v.Node, v.Detail)
		}
	}
	on := map[string]int{}
	for _, call := range site.Log() {
		if call.Operation != "On" || call.Time.Before(begun) || call.Status >= http.StatusBadRequest {
			continue
		}
		for _, node := range call.Nodes {
			on[node]++
		}
	}
	twice := 0
	for _, n := range on {
		if n > 1 {
			twice++
		}
	}
	t.Logf("restored and carried on to the end in %v; %d of %d nodes were switched on a second time",
		time.Since(begun).Round(time.Millisecond), twice, len(f.nodes))
}
