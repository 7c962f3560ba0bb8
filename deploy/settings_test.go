// SPDX-License-Identifier: MIT

package deploy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// builtBosd builds bosd and returns its path.
func builtBosd(t *testing.T) string {
	t.Helper()
	bosd := filepath.Join(t.TempDir(), "bosd")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "..", "-o", bosd, "./cmd/bosd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build bosd: %v\n%s", err, out)
	}
	return bosd
}

// What the chart tells bosd are settings that it has, with values that it takes, in
// every shape: bosd itself is asked.
func TestChartSetsWhatThereIs(t *testing.T) {
	dir := t.TempDir()
	bosd := builtBosd(t)
	mounted := regexp.MustCompile(`/(etc/bos-[a-z-]+/[A-Za-z0-9.]+|backup|var/lib/bos)`)
	for name, shape := range shapes() {
		rendered, err := render(t, shape.values)
		if err != nil {
			t.Fatal(err)
		}
		all := objects(t, rendered)
		// What is mounted in the pod is in a folder of the test's own.
		local := func(text string) string {
			return mounted.ReplaceAllStringFunc(text, func(path string) string {
				path = filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if filepath.Base(filepath.Dir(path)) == "etc" || !strings.Contains(path, "/etc/") {
					if err := os.MkdirAll(path, 0o755); err != nil {
						t.Fatal(err)
					}
				} else if err := os.WriteFile(path, []byte("something\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			})
		}
		settings := filepath.Join(dir, "bosd.yaml")
		content := local(at(all["ConfigMap/bos"], "data", "bosd.yaml").(string))
		if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for id, o := range all {
			if o.kind() != "StatefulSet" && o.kind() != "Deployment" {
				continue
			}
			c, _ := container(t, o)
			run := exec.CommandContext(t.Context(), bosd, "config", "--config", settings)
			// Nothing of this process's own.
			run.Env = []string{}
			for variable, value := range variables(c) {
				if variable != "BOS_CONFIG" && value != nil {
					run.Env = append(run.Env, variable+"="+local(strings.ReplaceAll(fmt.Sprint(value), "$(POD_NAME)", "bos-0")))
				}
			}
			var stdout, stderr bytes.Buffer
			run.Stdout, run.Stderr = &stdout, &stderr
			if err := run.Run(); err != nil || stderr.Len() > 0 {
				t.Errorf("%s: %s: %v: %s\n%s", name, id, err, &stderr, content)
			}
		}
	}
}

// Every setting of bosd can be had through the chart: those that no value of its own
// is about by `config`.
func TestChartTakesEverySetting(t *testing.T) {
	bosd := builtBosd(t)
	print := func(args ...string) map[string]any {
		t.Helper()
		run := exec.CommandContext(t.Context(), bosd, append([]string{"config"}, args...)...)
		run.Env = []string{}
		out, err := run.Output()
		if err != nil {
			t.Fatalf("bosd config %q: %v", args, err)
		}
		settings := map[string]any{}
		if err := yaml.Unmarshal(out, &settings); err != nil {
			t.Fatal(err)
		}
		return settings
	}
	values := map[string]any{"auth": map[string]any{"mode": "none"}, "api": map[string]any{"replicas": 1}}
	content := func() string {
		t.Helper()
		text, err := yaml.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := render(t, string(text))
		if err != nil {
			t.Fatal(err)
		}
		return at(objects(t, rendered)["ConfigMap/bos"], "data", "bosd.yaml").(string)
	}
	own := map[string]any{}
	if err := yaml.Unmarshal([]byte(content()), &own); err != nil {
		t.Fatal(err)
	}
	rest := print()
	if len(rest) < 90 {
		t.Fatalf("bosd has %d settings only", len(rest))
	}
	for name := range own {
		delete(rest, name)
	}
	values["config"] = rest
	file := filepath.Join(t.TempDir(), "bosd.yaml")
	if err := os.WriteFile(file, []byte(content()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := print("--config", file)
	for name, want := range rest {
		if fmt.Sprint(got[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
