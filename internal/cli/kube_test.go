// SPDX-License-Identifier: MIT

package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"bos/internal/bos"
)

// manifest is what the tests read of a Job.
type manifest struct {
	Kind     string            `yaml:"kind"`
	Metadata map[string]any    `yaml:"metadata"`
	Data     map[string]string `yaml:"data"`
	Spec     struct {
		TTL      int `yaml:"ttlSecondsAfterFinished"`
		Policy   any `yaml:"podFailurePolicy"`
		Template struct {
			Spec struct {
				Containers []struct {
					Command []string `yaml:"command"`
					Env     []struct {
						Name      string `yaml:"name"`
						Value     string `yaml:"value"`
						ValueFrom any    `yaml:"valueFrom"`
					} `yaml:"env"`
					VolumeMounts []struct {
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// The manifest that comes with the project runs as it stands, and each run of
// it is a new Job.
func TestManifest(t *testing.T) {
	file, err := os.Open("../../deploy/kubernetes/boot-session.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec := yaml.NewDecoder(file)
	var config, job manifest
	for _, one := range []*manifest{&config, &job} {
		if err := dec.Decode(one); err != nil {
			t.Fatal(err)
		}
	}
	if config.Kind != "ConfigMap" || config.Metadata["name"] != "cray-boot-session" {
		t.Errorf("it begins with %s %v", config.Kind, config.Metadata)
	}
	if job.Kind != "Job" || job.Metadata["generateName"] == nil || job.Metadata["name"] != nil || job.Spec.TTL == 0 || job.Spec.Policy == nil {
		t.Errorf("the Job is %+v", job)
	}
	container := job.Spec.Template.Spec.Containers[0]
	if len(container.VolumeMounts) != 1 || container.VolumeMounts[0].MountPath != jobFolder {
		t.Errorf("it has its template in %v", container.VolumeMounts)
	}
	if diff := cmp.Diff([]string{"/usr/bin/bos", "job"}, container.Command); diff != "" {
		t.Error(diff)
	}

	// As Kubernetes would run it.
	folder := t.TempDir()
	for name, text := range config.Data {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url, asked := newServer(t)
	env := map[string]string{}
	for _, one := range container.Env {
		if !strings.Contains(jobHelp, "  "+one.Name+" ") && one.Name != "BOS_URL" {
			t.Errorf("nobody reads %s", one.Name)
		}
		env[one.Name] = one.Value
		if one.ValueFrom != nil {
			env[one.Name] = "x"
		}
	}
	env["BOS_URL"] = url
	asked.can("GET /v2/sessions/x-x-x/outcome", answer{200, "application/json", `{"session":"x-x-x","status":"complete","counts":{"total":1,"succeeded":1}}`})
	if status, _, stderr := runBOS(t, env, "job", "--folder", folder); status != exitOK {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

func TestRunSessions(t *testing.T) {
	long := strings.Repeat("a", 63)
	seen := map[string]bool{}
	for _, run := range [][3]string{
		{"services", "boot-1", ""}, {"services", "boot-1", "7d4ac1f2-1"}, {"services", "boot-1", "8d4ac1f2-1"}, {"", "boot-1", ""},
		{long, long, ""}, {long, long, "7d4ac1f2-1"}, {long, long, "8d4ac1f2-1"},
	} {
		name := runSession(run[0], run[1], run[2])
		if seen[name] || !bos.ValidName(name) {
			t.Errorf("%v is %q", run, name)
		}
		seen[name] = true
	}
}

func TestKubeNames(t *testing.T) {
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	for _, text := range []string{"Compute_2026.11", "-x-", strings.Repeat("long.", 30), "ü"} {
		for _, end := range []string{"", "x7k2p"} {
			name := kubeName("bos-boot-"+text, end, maxLabel)
			if !label.MatchString(name) || len(name) > maxLabel || !strings.HasSuffix(name, end) {
				t.Errorf("%q is %q", text, name)
			}
		}
	}
	if one, other := suffix(), suffix(); one == other || !label.MatchString(one) {
		t.Error("two runs have one suffix")
	}
}
