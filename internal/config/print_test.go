// SPDX-License-Identifier: MIT

package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestWriteYAML(t *testing.T) {
	path := write(t, "bos.yaml", "idle-timeout: 90s\nauth: none\n")
	c := bound(t, []string{"--listen=:9000", "--config", path}, GroupListen, GroupHTTP, GroupAPI, GroupEtcd)
	if _, err := c.Load([]string{"BOS_ETCD_ENDPOINTS=https://a:2379, b:2379", "BOS_ETCD_PASSWORD=hush", "PROXY_PATH=apis/bos/", "BOS_SEED=7"}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	want := `# The effective configuration; after each value, where it is from.
# The file is "` + path + `" (flag).

# HTTP server
listen: :9000 # flag
shutdown-timeout: 4s # default
read-header-timeout: 10s # default
read-timeout: 1m # default
write-timeout: 5m # default
idle-timeout: 1m30s # file
max-header-bytes: 4194304 # default
tls-cert-file: "" # default
tls-key-file: "" # default
client-ca-file: "" # default

# API
prefix: /apis/bos # default
proxy-path: /apis/bos # env PROXY_PATH

# External store, in place of the embedded one
etcd-endpoints: ['https://a:2379', 'b:2379'] # env BOS_ETCD_ENDPOINTS
etcd-ca-file: "" # default
etcd-cert-file: "" # default
etcd-key-file: "" # default
etcd-username: "" # default
etcd-password: (hidden) # env BOS_ETCD_PASSWORD
etcd-password-file: "" # default
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := c.WriteYAML(brokenWriter{}); err == nil {
		t.Error("a write that failed is no error")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// Credentials in addresses are refused, and not shown.
func TestCredentialsInAddresses(t *testing.T) {
	for _, address := range []string{
		"http://user:hush@host/", "http://user:hu/sh@host", "https://hush@host", "user:hush@host", "http://user:hush@host:99999/", "://hush@h", "http://%zz:hush@h",
	} {
		c := Default()
		c.HSMURL, c.CFSURL, c.S3Gateway, c.EtcdEndpoints = address, address, address, []string{address}
		var out bytes.Buffer
		if err := c.WriteYAML(&out); err != nil {
			t.Fatal(err)
		}
		err := c.Validate()
		if err == nil || strings.Count(err.Error(), "\n") != 3 || strings.Contains(err.Error(), "hush") || strings.Contains(out.String(), "hush") {
			t.Errorf("%s: %v\n%s", address, err, &out)
		}
	}
}

// sameAgain writes a valid configuration and loads what was written.
func sameAgain(t testing.TB, c *Config) {
	t.Helper()
	var out bytes.Buffer
	if err := c.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, ": "+hidden+" # ") {
			kept = append(kept, line)
		}
	}
	again := Default()
	again.File = write(t, "again.yaml", strings.Join(kept, ""))
	if _, err := again.Load(nil); err != nil {
		t.Fatalf("%v of\n%s", err, &out)
	}
	again.S3AccessKey, again.S3SecretKey, again.EtcdPassword, again.File = c.S3AccessKey, c.S3SecretKey, c.EtcdPassword, c.File
	if diff := cmp.Diff(values(c), values(again)); diff != "" {
		t.Fatalf("(-want +got):\n%s\n%s", diff, &out)
	}
}

// What is written of a valid configuration, loaded again, is the same.
func TestWrittenIsReadBack(t *testing.T) {
	texts := rapid.OneOf(
		rapid.StringMatching(`[ -~]{0,12}`), rapid.String(),
		rapid.SampledFrom([]string{"", "true", "null", "~", "1", "0x1", "1e3", ".nan", "2026-01-01", "# x", "a # b", "- a", "[a]", "{}", "'", "\"", "a: b", "%", "@", "!x", "&a", "*a"}),
	)
	rapid.Check(t, func(r *rapid.T) {
		c := Default()
		for _, s := range c.settings() {
			if s.name == fileSetting {
				continue
			}
			before := s.value.String()
			var text string
			switch s.value.Type() {
			case kindInt:
				text = rapid.StringMatching(`[0-9]{1,6}`).Draw(r, s.name)
			case kindFloat:
				text = rapid.StringMatching(`0\.[0-9]{1,17}`).Draw(r, s.name)
			case kindBool:
				text = rapid.SampledFrom([]string{"true", "false", "1", "F"}).Draw(r, s.name)
			case kindDuration:
				text = rapid.StringMatching(`[0-9]{1,5}(ms|s|m)`).Draw(r, s.name)
			default:
				text = texts.Draw(r, s.name)
			}
			if s.value.Set(text) == nil && s.check != nil && s.check() != nil && s.value.Set(before) != nil {
				r.Fatalf("%s does not take %q back", s.name, before)
			}
		}
		if c.Validate() != nil {
			// Settings that need each other; one bad part is enough to see that.
			c.EtcdEndpoints, c.EtcdUsername, c.EtcdPassword = nil, "", ""
			c.S3AccessKey, c.S3SecretKey, c.Listen, c.DataDir = "", "", "[::1]:0", "d"
			c.Auth, c.Access.Issuers, c.Access.Keys, c.Access.KeysMaxAge = None, nil, nil, 24*time.Hour
		}
		if err := c.Validate(); err != nil {
			r.Fatalf("%v", err)
		}
		sameAgain(rapidTB{t, r}, c)
	})
}

// rapidTB is a test within a property.
type rapidTB struct {
	testing.TB
	r *rapid.T
}

// Fatalf fails the property and not only the test.
func (t rapidTB) Fatalf(format string, args ...any) { t.r.Fatalf(format, args...) }

// Fatal fails the property and not only the test.
func (t rapidTB) Fatal(args ...any) { t.r.Fatal(args...) }
