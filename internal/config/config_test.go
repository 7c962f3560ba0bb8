// SPDX-License-Identifier: MIT

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"bos/internal/decide"
)

// What users and deployments rely on.
func TestDefaults(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	want := map[string]string{
		"listen": "127.0.0.1:9000", "prefix": "/apis/bos", "auth": "", "data-dir": "./bos-data", "data-quota": "8192", "operators": "all",
		"hsm-url": "http://cray-smd/hsm/v2", "pcs-url": "http://cray-power-control", "bss-url": "http://cray-bss/boot/v1",
		"cfs-url": "http://cray-cfs-api/v3", "ims-url": "http://cray-ims/v3", "tapms-url": "http://cray-tapms/v1alpha3",
		"tenant-cache": "0s", "nodes": "64", "output": "text", "log-file": "", "keep": "false", "simulate": "0", "faults": "none", "time-scale": "1", "shutdown-timeout": "4s",
	}
	got := values(c)
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %q, want %q", name, v, value)
		}
	}
	if Demo().TimeScale != 0.01 {
		t.Error("a demonstration would take minutes")
	}
}

// Every row of the table is complete and has names of its own.
func TestTable(t *testing.T) {
	c := Default()
	seen := map[string]string{}
	links := serviceLinks()
	for _, s := range c.settings() {
		for _, name := range append(s.env(), s.name) {
			if other, twice := seen[name]; twice {
				t.Errorf("%s belongs to %s and %s", name, other, s.name)
			}
			seen[name] = s.name
			if links.MatchString(name) {
				t.Errorf("%s may be a variable that Kubernetes sets", name)
			}
		}
		if placeholders := strings.Count(s.help, "`"); placeholders != 2 && s.value.Type() != kindBool {
			t.Errorf("%s: the help %q has no placeholder", s.name, s.help)
		}
		if s.group != groupAlways && s.group.title() == "" {
			t.Errorf("%s: its group has no title", s.name)
		}
	}
	for _, name := range variablesOfClient() {
		if _, twice := seen[name]; twice {
			t.Errorf("%s is a setting and a variable of the client", name)
		}
	}
}

// Commands get the flags of their groups, and the file's.
func TestBind(t *testing.T) {
	c := Default()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Bind(fs, GroupNodes, GroupSite)
	c.Bind(fs, GroupDemo, GroupSite)
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if diff := cmp.Diff([]string{"config", "faults", "keep", "log-file", "nodes", "output", "seed", "time-scale"}, names); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if err := fs.Parse([]string{"--keep", "--nodes=3", "--faults", "some", "--seed=18446744073709551615"}); err != nil {
		t.Fatal(err)
	}
	if !c.Keep || c.Nodes != 3 || c.Faults.String() != "some" || c.Seed != 1<<64-1 {
		t.Errorf("parsed %+v", c)
	}
	for _, bad := range [][]string{{"--nodes=x"}, {"--faults=few"}, {"--keep=maybe"}, {"--time-scale=slow"}, {"--seed=-1"}, {"--nodes=1e2"}} {
		if err := fs.Parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if usage := fs.FlagUsages(); !strings.Contains(usage, "--nodes number") || !strings.Contains(usage, "(BOS_NODES) (default 64)") {
		t.Errorf("usage:\n%s", usage)
	}
}

func TestOperatorNames(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want []string
	}{
		{[]string{All}, decide.Roles()}, {[]string{None}, nil}, {[]string{"status", "power-on"}, []string{"status", "power-on"}},
	} {
		c := Config{Operators: tt.in}
		if diff := cmp.Diff(tt.want, c.OperatorNames()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.in, diff)
		}
	}
	if Enabled(None) || !Enabled(Default().CFSURL) {
		t.Error("Enabled")
	}
}

func TestStorePassword(t *testing.T) {
	if got, err := (&Config{EtcdPassword: "p"}).StorePassword(); err != nil || string(got) != "p" {
		t.Errorf("%q, %v", string(got), err)
	}
	file := write(t, "password", " from file \n")
	if got, err := (&Config{EtcdPasswordFile: file}).StorePassword(); err != nil || string(got) != "from file" {
		t.Errorf("%q, %v", string(got), err)
	}
	for _, bad := range []string{write(t, "empty", "\n"), file + ".gone", t.TempDir(), write(t, "large", strings.Repeat("x", maxPasswordFile+1))} {
		if got, err := (&Config{EtcdPasswordFile: bad}).StorePassword(); err == nil {
			t.Errorf("%s: %q", bad, string(got))
		}
	}
}

// However a configuration gets into a log, its secrets do not.
func TestSecretsAreHidden(t *testing.T) {
	const key = "hush-hush"
	c := Default()
	c.EtcdPassword, c.S3AccessKey, c.S3SecretKey = key, key, key
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q", c, c, c, c.S3SecretKey, c.S3SecretKey)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", c.S3SecretKey, "all", c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", c.S3SecretKey, "all", c)
	if err := json.NewEncoder(&out).Encode(map[string]any{"s": c.S3SecretKey, "c": c}); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Bind(fs, Groups()...)
	out.WriteString(fs.FlagUsages())
	if strings.Contains(out.String(), key) || strings.Count(out.String(), hidden) < 10 {
		t.Errorf("shown:\n%s", &out)
	}
	if Secret("").String() != "" {
		t.Error("no secret looks like one")
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 10 * time.Hour: "10h",
		time.Hour + time.Second: "1h0m1s", 20 * time.Minute: "20m", 10 * time.Second: "10s", time.Millisecond: "1ms",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(want); err != nil || back != d {
			t.Errorf("%s is %v, %v", want, back, err)
		}
	}
}
