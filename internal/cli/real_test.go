// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bos/internal/demo"
)

// realTemplate is a template for the nodes of the simulated site of seed 1.
const realTemplate = `
cfs: {configuration: compute-1}
boot_sets:
  compute:
    path: s3://boot-images/57c80a32-2cab-5b08-9d07-e0aca0bfdff9/manifest.json
    type: s3
    rootfs_provider: sbps
    node_roles_groups: [Compute]
`

// TestRealServer plans, boots, watches and explains with the real service and a
// simulated site.
func TestRealServer(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Config{Nodes: 8, Seed: 1, TimeScale: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(t.TempDir(), "t.yaml")
	if err := os.WriteFile(file, []byte(realTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"BOS_URL": d.URL(), "BOS_FORMAT": "table", "OPERATION": "reboot", "TEMPLATE_NAME": "compute", "RUN": "run-1",
	}
	for _, step := range []struct {
		args string
		exit int
		want string
	}{
		{"sessiontemplates create compute --file " + file, exitOK, "compute-1"},
		{"plan boot compute", exitOK, "8 nodes in 1 rack"},
		{"boot compute --confirm-above 4", exitUsage, "Boot 8 nodes in 1 rack with the template compute?"},
		{"boot compute --limit nobody", exitNone, "the session would have no nodes"},
		{"boot compute --name s1 --wait", exitOK, "8 of 8 nodes done (8 succeeded)"},
		{"watch s1", exitOK, "8 of 8 nodes done (8 succeeded)"},
		{"sessions outcome s1", exitOK, "succeeded      8     100%"},
		{"sessions outcome s2", exitProblem, "Session 's2' does not exist"},
		{"why x1000c0s0b0n0", exitOK, "Turn"},
		{"sessions pause s1", exitProblem, "is complete"},
		{"sessions resume s1", exitProblem, "is complete"},
		{"sessions cancel s1", exitProblem, "is complete"},
		{"why nowhere", exitProblem, "does not exist"},
		{"reboot compute --name later --stage --wait --yes", exitOK, "later: staged: 8 of 8 nodes done (8 staged)"},
		{"watch later", exitOK, "8 nodes staged; bos applystaged create --xnames 'x1000c0s[0-1]b[0-1]n[0-1]' starts them"},
		{"applystaged create --xnames x1000c0s0b0n0", exitOK, "succeeded      1  x1000c0s0b0n0"},
		{"watch later", exitOK, "7 nodes staged; bos applystaged create --xnames NODES starts them (bos components list --staged-session later --fold names them)"},
		{"watch later --format json", exitOK, "\"staged\": 7"},
		{"sessions pause later", exitOK, "paused"},
		{"sessions describe later", exitOK, "running, paused"},
		{"sessions describe s1", exitOK, "complete, succeeded"},
		{"sessions list", exitOK, "compute   paused"},
		{"watch later", exitOK, "the session is paused: bos sessions resume later"},
		{"sessions cancel later", exitOK, "session 'later' was cancelled while staged"},
		{"watch later", exitPartly, "later: cancelled: 8 of 8 nodes done (1 succeeded, 7 cancelled)"},
		{"job", exitOK, "run-1: succeeded: 8 of 8 nodes done"},
		{"job", exitOK, "was made by an earlier try of this run"},
	} {
		status, stdout, stderr := runBOS(t, env, strings.Fields(step.args)...)
		if status != step.exit || !strings.Contains(stdout+stderr, step.want) || strings.Contains(stdout+stderr, tellsNothing) {
			t.Errorf("bos %s: exit status %d\n%s%s", step.args, status, stdout, stderr)
		}
	}
	// What has happened is written down a moment later.
	followUntil(t, env, "session complete", "events", "--session", "s1", "--follow")
	followUntil(t, env, "succeeded", "events", "--node", "x1000c0s0b0n0", "--follow")
}

// followUntil runs the program until it shows something.
func followUntil(t *testing.T, env map[string]string, want string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs strings.Builder
	out := &until{want: want, found: cancel}
	status := Main(ctx, System{
		Args: args, Stdin: strings.NewReader(""), Stdout: out, Stderr: &errs,
		Getenv: func(name string) string { return env[name] }, Now: time.Now,
	})
	if status != exitOK || !strings.Contains(out.text.String(), want) {
		t.Errorf("bos %s: exit status %d\n%s%s", strings.Join(args, " "), status, out.text.String(), errs.String())
	}
}

// until calls a function once a text was written.
type until struct {
	text  strings.Builder
	want  string
	found func()
}

func (u *until) Write(p []byte) (int, error) {
	u.text.Write(p)
	if strings.Contains(u.text.String(), u.want) {
		u.found()
	}
	return len(p), nil
}
