// SPDX-License-Identifier: MIT

package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Flags win over the environment, that over the file, that over the defaults.
func TestPrecedence(t *testing.T) {
	const file = "s3-gateway: from-file\nlisten: localhost:1\n"
	tests := []struct {
		name           string
		args, environ  []string
		gateway, where string
	}{
		{name: "default", gateway: "rgw-vip.nmn", where: "default"},
		{name: "file", args: []string{"--config=FILE"}, gateway: "from-file", where: "file"},
		{name: "file by variable", environ: []string{"BOS_CONFIG=FILE"}, gateway: "from-file", where: "file"},
		{name: "file by flag and not by variable", args: []string{"--config=FILE"}, environ: []string{"BOS_CONFIG=/none"}, gateway: "from-file", where: "file"},
		{name: "the original's variable", args: []string{"--config=FILE"}, environ: []string{"S3_GATEWAY=original"},
			gateway: "original", where: "env S3_GATEWAY"},
		{name: "variable", args: []string{"--config=FILE"}, environ: []string{"S3_GATEWAY=original", "BOS_S3_GATEWAY=ours"},
			gateway: "ours", where: "env BOS_S3_GATEWAY"},
		{name: "first of two", environ: []string{"S3_GATEWAY=first", "S3_GATEWAY=second"}, gateway: "first", where: "env S3_GATEWAY"},
		{name: "white space", environ: []string{"S3_GATEWAY= rgw\n"}, gateway: "rgw", where: "env S3_GATEWAY"},
		{name: "empty variable", args: []string{"--config=FILE"}, environ: []string{"BOS_S3_GATEWAY="}, gateway: "from-file", where: "file"},
		{name: "flag", args: []string{"--config=FILE", "--s3-gateway=flag"}, environ: []string{"BOS_S3_GATEWAY=ours"}, gateway: "flag", where: "flag"},
		{name: "flag with the default", args: []string{"--config=FILE", "--s3-gateway=rgw-vip.nmn"}, gateway: "rgw-vip.nmn", where: "flag"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "bos.yaml", file)
			for _, list := range [][]string{tt.args, tt.environ} {
				for i := range list {
					list[i] = strings.ReplaceAll(list[i], "FILE", path)
				}
			}
			c := bound(t, tt.args)
			warnings, err := c.Load(tt.environ)
			if err != nil || len(warnings) != 0 {
				t.Fatalf("%v, %v", warnings, err)
			}
			if c.S3Gateway != tt.gateway || c.source("s3-gateway") != tt.where {
				t.Errorf("%s from %s, want %s from %s", c.S3Gateway, c.source("s3-gateway"), tt.gateway, tt.where)
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Every setting can be set in every way.
func TestEveryWay(t *testing.T) {
	texts := map[string]string{
		kindString: "/some.text", kindList: "a,b", kindInt: "7", kindFloat: "0.5", kindBool: "true", kindDuration: "3m",
	}
	for _, row := range Default().settings() {
		want := texts[row.value.Type()]
		if row.name == "faults" {
			want = "many"
		}
		got := func(c *Config) string { return values(c)[row.name] }
		if c := bound(t, []string{"--" + row.name + "=" + want}); got(c) != want {
			t.Errorf("--%s gives %q", row.name, got(c))
		}
		for _, name := range row.env() {
			c := bound(t, nil)
			if _, err := c.Load([]string{name + "=" + want}); got(c) != want || err != nil && row.name != fileSetting {
				t.Errorf("%s gives %q, %v", name, got(c), err)
			}
		}
		if row.name == fileSetting {
			continue
		}
		c := bound(t, []string{"--config", write(t, "bos.yaml", row.name+": "+want+"\n")})
		if warnings, err := c.Load(nil); err != nil || len(warnings) != 0 || got(c) != want {
			t.Errorf("%s in a file gives %q, %v, %v", row.name, got(c), warnings, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	c := bound(t, nil, GroupServices)
	warnings, err := c.Load([]string{
		"BOS_HSMURL=hush", "BOS_S3_SECRETKEY=hush", "BOS_SOMETHING_ELSE=hush", "bos_x=1", "BOS_EMPTY=", "HOME=/", "NOVALUE", "",
		// What Kubernetes sets for services named bos and bos-etcd.
		"BOS_SERVICE_HOST=10.0.0.1", "BOS_SERVICE_PORT=80", "BOS_SERVICE_PORT_HTTP=80", "BOS_PORT=tcp://10.0.0.1:80",
		"BOS_PORT_80_TCP=tcp://10.0.0.1:80", "BOS_PORT_80_TCP_PROTO=tcp", "BOS_PORT_80_TCP_ADDR=10.0.0.1", "BOS_ETCD_SERVICE_HOST=10.0.0.2",
		"BOS_ETCD_PORT_2379_TCP_PORT=2379",
		// The client's.
		"BOS_URL=http://bos", "BOS_TENANT=blue", "BOS_FORMAT=json",
		// Of a group that this command has nothing to do with.
		"BOS_NODES=many",
	})
	want := []string{
		`nodes: "many" is not a whole number (in the environment, BOS_NODES); this command does not use it`,
		`the environment variable "BOS_HSMURL" is no setting and does nothing; is BOS_HSM_URL meant?`,
		`the environment variable "BOS_S3_SECRETKEY" is no setting and does nothing; is BOS_S3_SECRET_KEY meant?`,
		`the environment variable "BOS_SOMETHING_ELSE" is no setting and does nothing`,
	}
	if diff := cmp.Diff(want, warnings); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// What can't be read is reported at once; the rest is set.
func TestLoadFaults(t *testing.T) {
	path := write(t, "bos.yaml", "seed: x\nhsmurl: http://hsm\ndata-dir: /var/lib/bos\n")
	c := bound(t, []string{"--config", path})
	_, err := c.Load([]string{"BOS_SIMULATE=abc", "BOS_TIME_SCALE=quick", "BOS_KEEP=perhaps", "BOS_IDLE_TIMEOUT=5", "BOS_LISTEN=localhost:2"})
	want := []string{
		`"hsmurl" is no setting; is hsm-url meant? (` + path + `, line 2)`,
		`seed: "x" is not a whole number of 0 or more (` + path + `, line 1)`,
		`idle-timeout: "5" is not a time such as 5s or 2m (in the environment, BOS_IDLE_TIMEOUT)`,
		`simulate: "abc" is not a whole number (in the environment, BOS_SIMULATE)`,
		`time-scale: "quick" is not a number (in the environment, BOS_TIME_SCALE)`,
		`keep: "perhaps" is not true or false (in the environment, BOS_KEEP)`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if c.DataDir != "/var/lib/bos" || c.Listen != "localhost:2" || c.Seed != 1 {
		t.Errorf("set %+v", c)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"abc", "abc", 0}, {"abc", "abd", 1}, {"ab", "abc", 1}, {"abc", "b", 2}, {"", "ab", 2}, {"abcdef", "a", 9}, {"kitten", "sitting", 3}} {
		got := distance(tt.a, tt.b, 4)
		if got != min(tt.want, 4) || got != distance(tt.b, tt.a, 4) {
			t.Errorf("%s to %s is %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
