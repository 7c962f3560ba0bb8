// SPDX-License-Identifier: MIT

// Package services_test holds BOS against the services around it as they really
// behave, and against what they do on bad days: the whole of BOS on a simulated
// site with its switches set each way.
package services_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/sim"
	"bos/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everywhere runs a test over real HTTP in quick motion, and in virtual time
// where nothing depends on the machine.
func everywhere(t *testing.T, cfg lab.Config, test func(t testing.TB, l *lab.Lab)) {
	t.Helper()
	t.Run("http", func(t *testing.T) {
		l := lab.Real(t, cfg)
		l.Discovered()
		test(t, l)
	})
	virtually(t, cfg, test)
}

// virtually runs a test in virtual time only: it is about more time, or more
// nodes, than a loaded machine gets through in quick motion.
func virtually(t *testing.T, cfg lab.Config, test func(t testing.TB, l *lab.Lab)) {
	t.Helper()
	t.Run("virtual", func(t *testing.T) {
		lab.Virtual(t, cfg, func(l *lab.Lab) {
			l.StartProcess()
			l.Discovered()
			test(l.T(), l)
		})
	})
}

// boots boots nodes with the first image and expects that all of them make it.
func boots(t testing.TB, l *lab.Lab, nodes []string) {
	t.Helper()
	l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
	l.Session("boot", "one", "boot", nil)
	l.Complete("boot", 2*time.Hour)
	succeeded(t, l, nodes)
}

func succeeded(t testing.TB, l *lab.Lab, nodes []string) {
	t.Helper()
	for _, id := range nodes {
		c := l.Component(id)
		if c.StatusNow() != bos.StatusStable || c.Enabled.Value() || c.Error.Value() != "" {
			t.Errorf("%s is %s: %s\n%s", id, c.StatusNow(), c.Error.Value(), l.Dump())
			return
		}
	}
}

// What is wanted is told from what runs by a token of our own, whatever becomes
// of BSS's; no lock is no error in either flavour; HSM's State is not power.
func TestFlavoursAndSwitches(t *testing.T) {
	cases := []struct {
		name string
		site sim.Config
		// run is everywhere where answers differ, virtually where hardware does.
		run func(*testing.T, lab.Config, func(testing.TB, *lab.Lab))
	}{
		{"Cray", sim.Config{Flavour: sim.Cray}, everywhere},
		{"OpenCHAMI", sim.Config{Flavour: sim.OpenCHAMI}, everywhere},
		{"Cray, no locks is an error", sim.Config{LocksNoMatch: sim.NoMatchError}, everywhere},
		{"OpenCHAMI, no locks is a list", sim.Config{Flavour: sim.OpenCHAMI, LocksNoMatch: sim.NoMatchEmpty}, virtually},
		{"Cray, tokens are forgotten", sim.Config{BSSToken: sim.TokenForgotten}, everywhere},
		{"OpenCHAMI, tokens are stored", sim.Config{Flavour: sim.OpenCHAMI, BSSToken: sim.TokenStored}, virtually},
		{"HSM's State never changes", sim.Config{HSMState: sim.StateFrozen}, virtually},
		{"HSM's State follows events", sim.Config{HSMState: sim.StateEvents}, virtually},
		{"HSM's State follows the sweeps", sim.Config{HSMState: sim.StateSweeps}, virtually},
		{"power is live", sim.Config{LivePower: true}, virtually},
		{"no sweep is stretched", sim.Config{NoSweepStretch: true}, virtually},
		{"nothing is reserved", sim.Config{NoReservations: true}, virtually},
		{"some are locked", sim.Config{ManagementLocked: true}, everywhere},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.site.Nodes = 6
			c.run(t, lab.Config{Site: c.site}, func(t testing.TB, l *lab.Lab) {
				nodes := l.Site.Nodes()
				boots(t, l, nodes)
				l.Template("two", "cfg-2", lab.BootSet(l.Site.Images()[1], nodes, nil))
				l.Session("reboot", "two", "reboot", nil)
				l.Complete("reboot", 2*time.Hour)
				succeeded(t, l, nodes)
				for _, id := range nodes {
					if n, _ := l.Site.Node(id); n.Token == "" || n.Reported != n.Token {
						t.Errorf("%s boots with token %q and reported %q", id, n.Token, n.Reported)
					}
					if got, want := l.Operations(id), []string{"On", "Soft-Off", "On"}; !slices.Equal(got, want) {
						t.Errorf("%s got %v, want %v", id, got, want)
					}
				}
				l.CheckNoViolations(t)
			})
		})
	}
}

// PCS answers from a cache that a silent BMC makes old, and believes it itself:
// an On that comes too early "succeeds" and does nothing. No node is switched on
// before it was seen to be off and its reservation is over, so that no command
// meets a reservation, and nobody's success depends on the silent one.
func TestRebootWithASilentBMC(t *testing.T) {
	test := func(t testing.TB, l *lab.Lab) {
		nodes := l.Site.Nodes()
		boots(t, l, nodes)
		silent := nodes[len(nodes)/2]
		if err := l.Site.Inject(silent, sim.Fault{Kind: sim.FaultBMCHangs}); err != nil {
			t.Fatal(err)
		}
		healthy := slices.DeleteFunc(slices.Clone(nodes), func(id string) bool {
			n, _ := l.Site.Node(id)
			return n.Fault != nil
		})
		l.Template("two", "cfg-2", lab.BootSet(l.Site.Images()[1], nodes, nil))
		l.Session("reboot", "two", "reboot", nil)
		l.Until(time.Minute, "set up", func() bool { return l.SessionState("reboot").Status == bos.SessionRunning })
		l.Until(2*time.Hour, "all healthy nodes done", func() bool {
			return !slices.ContainsFunc(healthy, func(id string) bool { return l.Component(id).Enabled.Value() })
		})
		succeeded(t, l, healthy)
		for _, id := range healthy {
			if got, want := l.Operations(id), []string{"On", "Soft-Off", "On"}; !slices.Equal(got, want) {
				t.Errorf("%s got %v, want %v", id, got, want)
			}
		}
		if got := l.Site.Stats().Conflicts; got != 0 {
			t.Errorf("%d commands met a reservation", got)
		}
		l.CheckNoViolations(t)
	}
	t.Run("500", func(t *testing.T) { virtually(t, lab.Config{Site: sim.Config{Nodes: 500}}, test) })
	t.Run("24", func(t *testing.T) { everywhere(t, lab.Config{Site: sim.Config{Nodes: 24}}, test) })
}

// A locked or reserved node waits without an attempt, says what for, and goes
// on when it is released; the others don't wait for it.
func TestLockedAndReserved(t *testing.T) {
	for _, kind := range []sim.FaultKind{sim.FaultLocked, sim.FaultReserved} {
		t.Run(kind.String(), func(t *testing.T) {
			virtually(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(t testing.TB, l *lab.Lab) {
				nodes := l.Site.Nodes()
				bad := nodes[0]
				l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
				l.Session("boot", "one", "boot", nil)
				l.Until(time.Minute, "set up", func() bool { return l.Component(bad).Enabled.Value() })
				if err := l.Site.Inject(bad, sim.Fault{Kind: kind, Delay: 4 * time.Minute}); err != nil {
					t.Fatal(err)
				}
				l.Until(30*time.Second, "the node says what it waits for", func() bool {
					c := l.Component(bad)
					return strings.Contains(c.Error.Value(), "lock or a reservation") && c.EventStats.Value().PowerOnAttempts.Value() == 0
				})
				l.Until(3*time.Minute+30*time.Second, "the others are done", func() bool {
					return !slices.ContainsFunc(nodes[1:], func(id string) bool { return l.Component(id).Enabled.Value() })
				})
				if c := l.Component(bad); c.EventStats.Value().PowerOnAttempts.Value() != 0 || !strings.Contains(c.Error.Value(), "lock or a reservation") {
					t.Errorf("while it waits: %s", l.Dump())
				}
				l.Complete("boot", time.Hour)
				succeeded(t, l, nodes)
				if got := l.Operations(bad); len(got) > 2 {
					t.Errorf("commands were sent to it again and again: %v", got)
				}
				l.CheckNoViolations(t)
			})
		})
	}
}

// What fails at once is in the transition and nowhere else: it shows on the node
// about a second after the command.
func TestFailedTasksAreHarvested(t *testing.T) {
	virtually(t, lab.Config{Site: sim.Config{Nodes: 4, NoSweepStretch: true}}, func(t testing.TB, l *lab.Lab) {
		nodes := l.Site.Nodes()
		bad := nodes[0]
		l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], []string{bad}, nil))
		l.Session("boot", "one", "boot", nil)
		l.Until(time.Minute, "set up", func() bool { return l.Component(bad).Enabled.Value() })
		if err := l.Site.Inject(bad, sim.Fault{Kind: sim.FaultBMCRefuses}); err != nil {
			t.Fatal(err)
		}
		l.Until(time.Minute, "switched on", func() bool { return len(l.Operations(bad)) > 0 })
		// PCS itself tries for 7 s; the look after that shows it.
		l.Until(10*time.Second, "the node shows why it failed", func() bool {
			c := l.Component(bad)
			return strings.Contains(c.Error.Value(), "connection refused") && c.EventStats.Value().PowerOnAttempts.Value() == 1
		})
		if c := l.Component(bad); strings.Contains(c.Error.Value(), "https://") {
			t.Errorf("the error shows an address: %s", c.Error.Value())
		}
		// Once it is refused, an attempt counts, and the next one waits its time.
		l.Wait(time.Minute)
		if got := l.Operations(bad); len(got) != 1 {
			t.Errorf("commands %v within max_power_on_wait_time", got)
		}
		if err := l.Site.Inject(bad, sim.Fault{}); err != nil {
			t.Fatal(err)
		}
		l.Complete("boot", time.Hour)
		succeeded(t, l, nodes[:1])
	})
}

// PCS does not notice what a BMC answers; whether it does or not, such a node
// fails after its attempts and harms no other.
func TestRejectingBMC(t *testing.T) {
	for _, sees := range []bool{false, true} {
		t.Run(fmt.Sprintf("PCS sees it: %t", sees), func(t *testing.T) {
			virtually(t, lab.Config{Site: sim.Config{Nodes: 8, PCSSeesBMCErrors: sees}}, func(t testing.TB, l *lab.Lab) {
				nodes := l.Site.Nodes()
				if err := l.Site.Inject(nodes[0], sim.Fault{Kind: sim.FaultBMCRejects}); err != nil {
					t.Fatal(err)
				}
				l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
				l.Session("boot", "one", "boot", nil)
				l.Complete("boot", 2*time.Hour)
				for _, id := range nodes {
					n, _ := l.Site.Node(id)
					c := l.Component(id)
					want := bos.StatusStable
					if n.Fault != nil {
						want = bos.StatusFailed
					}
					if c.StatusNow() != want || (want == bos.StatusFailed) != (c.Error.Value() != "") {
						t.Errorf("%s is %s: %q", id, c.StatusNow(), c.Error.Value())
					}
					if want == bos.StatusFailed && len(l.Operations(id)) != 3 {
						t.Errorf("%s got %v", id, l.Operations(id))
					}
				}
				l.CheckNoViolations(t)
			})
		})
	}
}

// BSS finishes a write whose client has given up. With a token of our own a
// repetition is the same write, so that nodes boot with the token that counts.
func TestBSSAnswersAfterTheClientLeft(t *testing.T) {
	for _, stops := range []bool{false, true} {
		t.Run(fmt.Sprintf("it stops with the client: %t", stops), func(t *testing.T) {
			site := sim.Config{Nodes: 100, BSSStopsWithClient: stops, Delays: sim.Delays{BSSPerHost: 300 * time.Millisecond}}
			virtually(t, lab.Config{Site: site}, func(t testing.TB, l *lab.Lab) {
				boots(t, l, l.Site.Nodes())
				for _, id := range l.Site.Nodes() {
					if got := l.Operations(id); !slices.Equal(got, []string{"On"}) {
						t.Fatalf("%s got %v", id, got)
					}
				}
				l.CheckNoViolations(t)
			})
		})
	}
}

// Nodes without an architecture, and those whose architecture is the word
// unknown, are X86 as far as boot sets go, and Unknown; ARM is exact.
func TestArch(t *testing.T) {
	site := sim.Config{Nodes: 8, ARMNodes: 2, NodesWithoutArch: 2, NodesWithUnknownArch: 2}
	everywhere(t, lab.Config{Site: site}, func(t testing.TB, l *lab.Lab) {
		nodes := l.Site.Nodes()
		unknown, arm := nodes[2:6], nodes[6:]
		if n := nodeArchs(t, l); n["ARM"] != 2 || n[""] != 2 || n["UNKNOWN"] != 2 {
			t.Fatalf("the site has %v", n)
		}
		for arch, want := range map[string][]string{"X86": nodes[:6], "Unknown": unknown, "ARM": arm} {
			name := strings.ToLower(arch)
			image := l.Site.Images()[0]
			if arch == "ARM" {
				image = l.Site.Images()[2]
			}
			l.Template(name, "", lab.BootSet(image, nodes, map[string]any{"arch": arch}))
			l.Session(name, name, "boot", map[string]any{"stage": true})
			l.Until(time.Minute, arch+" staged", func() bool { return l.SessionState(name).Status == bos.SessionRunning })
			var got []string
			for _, id := range nodes {
				if c := l.Component(id); c.StagedSession() == name {
					got = append(got, id)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s took %v, want %d nodes like %v", arch, got, len(want), want)
			}
		}
	})
}

func nodeArchs(t testing.TB, l *lab.Lab) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, n := range hsmNodes(t, l) {
		if n.Role == "Compute" {
			out[n.Arch]++
		}
	}
	return out
}

// However a name is written, in capitals or with zeros, it is the node's, and
// what the services are told is the normal form; a node that nobody knows is
// left out.
func TestOddNames(t *testing.T) {
	everywhere(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(t testing.TB, l *lab.Lab) {
		nodes := l.Site.Nodes()
		odd := []string{strings.ToUpper(nodes[2]), strings.Replace(nodes[3], "s", "s0", 1), "x9999c7s63b1n9"}
		l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], append(slices.Clone(nodes[:2]), odd...), nil))
		l.Session("boot", "one", "boot", nil)
		l.Complete("boot", time.Hour)
		succeeded(t, l, nodes)
		for _, id := range nodes {
			if got := l.Operations(id); !slices.Equal(got, []string{"On"}) {
				t.Errorf("%s got %v", id, got)
			}
		}
		l.CheckNoViolations(t)
	})
}

// PCS refuses a whole request for one malformed name. A component of such a
// name is set aside, and the others of the same look go on.
func TestMalformedComponent(t *testing.T) {
	everywhere(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(t testing.TB, l *lab.Lab) {
		nodes := l.Site.Nodes()
		off := map[string]any{"enabled": true, "desired_state": map[string]any{"boot_artifacts": map[string]any{
			"kernel": "s3://b/k", "kernel_parameters": "p", "initrd": "s3://b/i",
		}}}
		bad := []string{"X1000C0S0B0N0", "x1000c9s0b0n0", "nid000001", "x1000c0s0b0"}
		for _, id := range bad {
			l.Do(http.MethodPut, "/components/"+id, off)
		}
		boots(t, l, nodes)
		for _, id := range bad {
			c := l.Component(id)
			if c.Enabled.Value() || c.StatusNow() != bos.StatusOnHold || !strings.Contains(c.Error.Value(), "not returned by pcs") {
				t.Errorf("%s is %s: %s", id, c.StatusNow(), c.Error.Value())
			}
		}
		l.CheckNoViolations(t)
	})
}

// A 401 in plain text is about our credentials: nobody's attempt, and the file
// with the token is read again.
func TestTokenRunsOut(t *testing.T) {
	for _, flavour := range []sim.Flavour{sim.Cray, sim.OpenCHAMI} {
		t.Run(flavour.String(), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "token")
			write := func(token string) {
				if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("first-token")
			cfg := lab.Config{
				Site: sim.Config{Nodes: 4, Flavour: flavour, BearerToken: "first-token"},
				Edit: func(c *config.Config) { c.TokenFile = file },
			}
			t.Run("http", func(t *testing.T) {
				l := lab.Real(t, cfg)
				l.Discovered()
				nodes := l.Site.Nodes()
				l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
				l.Site.RotateToken("second-token")
				l.Session("boot", "one", "boot", nil)
				l.Until(10*time.Minute, "the session says what it waits for", func() bool {
					s := l.SessionState("boot")
					return s.Error != nil && strings.Contains(*s.Error, "hsm") && strings.Contains(*s.Error, "credentials")
				})
				if s := l.SessionState("boot"); strings.Contains(*s.Error, "token") {
					t.Errorf("the error shows more than it should: %s", *s.Error)
				}
				write("second-token")
				l.Complete("boot", 4*time.Hour)
				succeeded(t, l, nodes)
				if l.Log.Has("first-token") || l.Log.Has("second-token") {
					t.Error("a token was logged")
				}
			})
		})
	}
}

// TAPMS says with a JSON text, not with a document, that there is no tenant.
func TestUnknownTenant(t *testing.T) {
	everywhere(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(t testing.TB, l *lab.Lab) {
		nodes := l.Site.Nodes()
		a, err := l.Try(http.MethodGet, "/components", "nobody", nil)
		if err != nil || a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "nobody") {
			t.Errorf("%d %s %v", a.Status, a.Body, err)
		}
		template := map[string]any{"boot_sets": map[string]any{"c": lab.BootSet(l.Site.Images()[0], nodes, nil)}, "enable_cfs": false}
		a, err = l.Try(http.MethodPut, "/sessiontemplates/t", "nobody", template)
		if err != nil || a.Status != http.StatusBadRequest {
			t.Errorf("%d %s %v", a.Status, a.Body, err)
		}
	})
}

// A line break would end the line of the boot script; BSS cuts the word initrd
// out of the parameters, with what follows it.
func TestKernelParameters(t *testing.T) {
	everywhere(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(t testing.TB, l *lab.Lab) {
		put := func(params string) lab.Answer {
			set := lab.BootSet(l.Site.Images()[0], l.Site.Nodes(), map[string]any{"kernel_parameters": params})
			a, err := l.Try(http.MethodPut, "/sessiontemplates/t", "", map[string]any{"boot_sets": map[string]any{"c": set}, "enable_cfs": false})
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		for _, params := range []string{"quiet\nshell", "quiet\r", "bss_referral_token=mine"} {
			if a := put(params); a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "kernel_parameters") {
				t.Errorf("%q: %d %s", params, a.Status, a.Body)
			}
		}
		if a := put("nmd_data=url=s3://b/initrd-dir/rootfs quiet"); a.Status != http.StatusOK {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		a := l.Do(http.MethodGet, "/sessiontemplatesvalid/t", nil)
		if !strings.Contains(string(a.Body), "initrd") {
			t.Errorf("the validity says nothing of initrd in the parameters: %s", a.Body)
		}
		put("quiet")
		if a := l.Do(http.MethodGet, "/sessiontemplatesvalid/t", nil); strings.Contains(string(a.Body), "initrd") {
			t.Errorf("the validity warns of nothing: %s", a.Body)
		}
	})
}
