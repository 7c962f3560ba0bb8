// SPDX-License-Identifier: MIT

package deploy

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// read returns a file's content.
func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// What the builder would refuse, and what it would only find missing, is found here
// without a builder; make image-test builds the image and runs it.
func TestContainerfile(t *testing.T) {
	parsed, err := parser.Parse(bytes.NewReader(read(t, "Containerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("%s (%s)", w.Short, w.URL)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) { t.Errorf("%s: %s", rule, message) }})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("there are %d stages", len(stages))
	}
	// What the build makes by other means than copying.
	built := map[string]bool{"/out/bosd": true, "/out/bos": true, "/out/data": true}
	installed := map[string]bool{}
	for i, stage := range stages {
		for _, command := range stage.Commands {
			c, ok := command.(*instructions.CopyCommand)
			if !ok {
				continue
			}
			for _, source := range c.SourcePaths {
				switch {
				case c.From == "" && i == 0:
					if _, err := os.Stat(filepath.Join("..", source)); err != nil {
						t.Errorf("COPY of what is not in the repository: %v", err)
					}
					if !bytes.Contains(read(t, "../.dockerignore"), []byte("\n!"+source+"\n")) {
						t.Errorf(".dockerignore leaves %s out", source)
					}
					built["/src/"+source] = true
				case c.From == stages[0].Name:
					if !built[source] {
						t.Errorf("COPY of %s, which the first stage does not make", source)
					}
				default:
					t.Errorf("COPY from %q", c.From)
				}
				target := c.DestPath
				if strings.HasSuffix(target, "/") {
					target += path.Base(source)
				}
				installed[target] = true
			}
		}
	}
	final := stages[1].Commands
	for _, command := range final {
		switch c := command.(type) {
		case *instructions.EntrypointCommand:
			if !slices.Equal(c.CmdLine, []string{"/usr/bin/bosd"}) || c.PrependShell {
				t.Errorf("the entry point is %q", c.CmdLine)
			}
			if !installed[c.CmdLine[0]] {
				t.Errorf("%s is not in the image", c.CmdLine[0])
			}
		case *instructions.UserCommand:
			if strings.HasPrefix(c.User, "0") || strings.HasPrefix(c.User, "root") {
				t.Errorf("it runs as %s", c.User)
			}
		case *instructions.RunCommand:
			t.Errorf("the base has no shell for RUN %q", c.CmdLine)
		}
	}
	for _, kind := range []string{"ENTRYPOINT", "USER", "STOPSIGNAL", "CMD"} {
		if !slices.ContainsFunc(final, func(c instructions.Command) bool { return strings.EqualFold(c.Name(), kind) }) {
			t.Errorf("there is no %s", kind)
		}
	}
	for _, program := range []string{"/usr/bin/bosd", "/usr/bin/bos"} {
		if !installed[program] {
			t.Errorf("%s is not in the image", program)
		}
	}
}

// needed returns the path of a program of Debian that a test can't do without. CI
// installs it; elsewhere the test is left out, and says so.
func needed(t *testing.T, program, debian string) string {
	t.Helper()
	found, err := exec.LookPath(program)
	if err == nil {
		return found
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%v: install Debian's package %s", err, debian)
	}
	t.Skipf("%v: Debian's package %s has it", err, debian)
	return ""
}

// maxExposure is what `systemd-analyze security` may say, times ten; unconfined is
// 100.
const maxExposure = 20

func TestUnits(t *testing.T) {
	analyze := needed(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	// The programs need not be installed for this.
	stand := filepath.Join(dir, "bin")
	if err := os.Mkdir(stand, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"bosd", "bos"} {
		if err := os.WriteFile(filepath.Join(stand, program), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	units := filepath.Join(dir, "units")
	if err := os.CopyFS(units, os.DirFS("systemd")); err != nil {
		t.Fatal(err)
	}
	services, err := filepath.Glob(filepath.Join(units, "*.service"))
	if err != nil || len(services) != 3 {
		t.Fatalf("found %q, error %v", services, err)
	}
	for _, service := range services {
		if err := os.WriteFile(service, bytes.ReplaceAll(read(t, service), []byte("=/usr/bin/"), []byte("="+stand+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), analyze, args...)
		// With Debian's own units, and ours before them; drop-ins too.
		cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+units+":", "SYSTEMD_COLORS=0", "PATH="+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || args[0] == "verify" && len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, service := range services {
		instance := strings.Replace(service, "@.", "@power-on.", 1)
		run("verify", "--man=no", "--recursive-errors=no", instance)
		run("security", "--offline=true", "--no-pager", fmt.Sprintf("--threshold=%d", threshold(service)), service)
	}
}

// threshold is the exposure that a unit may have. The reporter runs commands of the
// site for its token, so that it may not be confined as far.
func threshold(service string) int {
	if filepath.Base(service) == "bos-reporter.service" {
		return 3 * maxExposure
	}
	return maxExposure
}

// quadletKeys are the keys of podman's documentation that our files use, with the
// section that each belongs to.
func quadletKeys() map[string][]string {
	return map[string][]string{
		"Unit":    {"Description", "Documentation", "Wants", "After", "PartOf"},
		"Install": {"WantedBy"},
		"Service": {"TimeoutStartSec", "Restart", "RestartSec"},
		"Volume":  {"VolumeName", "User", "Group"},
		"Container": {
			"ContainerName", "HostName", "Image", "Network", "PublishPort", "EnvironmentFile", "Secret", "Volume", "ReadOnly",
			"ReadOnlyTmpfs", "User", "Group", "DropCapability", "NoNewPrivileges", "PidsLimit", "Ulimit", "Notify", "HealthCmd",
			"HealthInterval", "HealthTimeout", "HealthRetries", "HealthStartPeriod", "StopTimeout",
		},
	}
}

// No program of Debian's stable release reads quadlets, so their form, and what
// they name, is checked here.
func TestQuadlets(t *testing.T) {
	files, err := filepath.Glob("quadlet/*.[cv]*")
	if err != nil || len(files) != 2 {
		t.Fatalf("found %q, error %v", files, err)
	}
	for _, name := range files {
		section := ""
		for lines := bufio.NewScanner(bytes.NewReader(read(t, name))); lines.Scan(); {
			line := lines.Text()
			switch {
			case line == "" || strings.HasPrefix(line, "# ") || line == "#":
			case strings.HasPrefix(line, "["):
				section = strings.Trim(line, "[]")
			default:
				key, value, ok := strings.Cut(strings.TrimPrefix(line, "#"), "=")
				if !ok || !slices.Contains(quadletKeys()[section], key) {
					t.Errorf("%s: [%s] has no key %s", name, section, key)
				}
				if source, _, _ := strings.Cut(value, ":"); key == "Volume" && strings.HasSuffix(source, ".volume") {
					read(t, filepath.Join("quadlet", source))
				}
				if key == "HealthCmd" && !strings.HasPrefix(value, `["/usr/bin/bos", "healthz", "list", `) {
					t.Errorf("%s: the image has no shell, and no %s", name, value)
				}
			}
		}
	}
}
