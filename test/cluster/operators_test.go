// SPDX-License-Identifier: MIT

package cluster_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"bos/internal/decide"
	"bos/test/rig"
)

// Operators run as processes of their own against the cluster; two stand for one
// role, and one of them dies.
func TestOperatorProcesses(t *testing.T) {
	f := startFleet(t, "--operators", "none")
	args, environ := rig.SiteArgs(f.site)
	var scraped []string
	run := func(role string) *rig.Process {
		address := rig.Address(t)
		scraped = append(scraped, address)
		p := rig.New(t, role, environ, append([]string{
			"operator", role, "--etcd-endpoints", strings.Join(f.Clients, ","), "--metrics-listen", address,
		}, args...)...)
		p.Start()
		return p
	}
	for _, role := range decide.Roles() {
		if role != decide.RolePowerOn {
			run(role)
		}
	}
	first := run(decide.RolePowerOn)
	f.prepare()
	begun := time.Now()
	leading := func(p *rig.Process) func() error {
		return func() error {
			if !strings.Contains(p.Log(), "msg=leading operator="+decide.RolePowerOn) {
				return errors.New("it does not lead yet")
			}
			return nil
		}
	}
	f.Until(time.Minute, "the first one leads", leading(first))
	// Each operator is seen to work by the process that it has to itself.
	f.Until(time.Minute, "all are seen to work", func() error { return allLead(t, scraped) })
	second := run(decide.RolePowerOn)
	f.session("boot", "boot")
	killed := time.Now()
	first.Kill()
	f.Until(time.Minute, "the second one leads", leading(second))
	t.Logf("power-on: the second process leads %v after the first was killed", time.Since(killed).Round(time.Millisecond))
	f.complete("boot")
	f.once(begun)
}

// allLead says which operators none of some processes is seen to lead, or which
// process is not ready.
func allLead(t *testing.T, addresses []string) error {
	t.Helper()
	leading := map[string]bool{}
	for _, address := range addresses {
		for _, path := range []string{"/livez", "/readyz"} {
			if status, body := look(t, address, path); status != http.StatusOK {
				return fmt.Errorf("%s%s: %d %s", address, path, status, body)
			}
		}
		_, metrics := look(t, address, "/metrics")
		for _, m := range regexp.MustCompile(`(?m)^bos_operator_leading\{operator="([a-z-]+)"\} 1$`).FindAllStringSubmatch(metrics, -1) {
			leading[m[1]] = true
		}
	}
	for _, role := range decide.Roles() {
		if !leading[role] {
			return fmt.Errorf("nobody is seen to lead %s", role)
		}
	}
	return nil
}

// look asks a process about itself; the status is 0 while it does not answer.
func look(t *testing.T, address, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// An operator whose store is away lives, is not ready, and says whom it waits for.
func TestOperatorWithoutItsStore(t *testing.T) {
	args, environ := rig.SiteArgs(nil)
	address := rig.Address(t)
	p := rig.New(t, "alone", environ, append([]string{
		"operator", decide.RoleStatus, "--etcd-endpoints", rig.Address(t), "--metrics-listen", address,
	}, args...)...)
	p.Start()
	api := rig.NewAPI(t, address)
	api.Until(time.Minute, "it lives", func() error {
		if status, body := look(t, address, "/livez"); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	if status, body := look(t, address, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "store") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, body := look(t, address, "/v2/healthz"); status != http.StatusNotFound || !strings.Contains(body, "serves no API") {
		t.Errorf("healthz: %d %s", status, body)
	}
}
