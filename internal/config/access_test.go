// SPDX-License-Identifier: MIT

package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateAccess(t *testing.T) {
	file, folder := write(t, "file", "x"), t.TempDir()
	tls := func(c *Config) { c.TLSCertFile, c.TLSKeyFile = file, file }
	jwt := func(c *Config) {
		c.Auth, c.Access.Issuers, c.Access.Keys = AuthJWT, []string{"https://idp"}, []string{"https://idp/certs"}
	}
	validate(t, []validation{
		{"tokens", func(c *Config) { jwt(c); c.Listen = ":9000" }, ""},
		{"tokens, keys in a file", func(c *Config) { jwt(c); c.Access.Keys = []string{file} }, ""},
		{"certificates", func(c *Config) { tls(c); c.Listen, c.Auth, c.ClientCAFile = ":9000", AuthMTLS, file }, ""},
		{"both", func(c *Config) { jwt(c); tls(c); c.Auth, c.ClientCAFile = "jwt,mtls", file }, ""},
		{"TLS alone", func(c *Config) { tls(c); c.Listen = ":9000" }, "say --auth none"},
		{"none and more", func(c *Config) { jwt(c); c.Auth = "none,jwt" }, `auth: "none" is none of jwt, mtls; none stands alone`},
		{"twice", func(c *Config) { jwt(c); c.Auth = "jwt,jwt" }, "auth: jwt is there twice"},
		{"no issuer", func(c *Config) { c.Auth = AuthJWT }, "auth-issuers: it is needed with --auth jwt"},
		{"issuer for nothing", func(c *Config) { jwt(c); c.Auth = None }, "auth-issuers: it does nothing without --auth jwt"},
		{"issuer twice", func(c *Config) { jwt(c); c.Access.Issuers, c.Access.Keys = []string{"a", "a"}, []string{file, file} }, `auth-issuers: "a" is there twice`},
		{"no keys", func(c *Config) { jwt(c); c.Access.Keys = nil }, "auth-keys: there are 0, and 1 auth-issuers; each needs one"},
		{"missing keys", func(c *Config) { jwt(c); c.Access.Keys = []string{file + "x"} }, "can't be read"},
		{"credentials in the keys' place", func(c *Config) { jwt(c); c.Access.Keys = []string{"https://u:hush@idp/x"} }, "it holds credentials"},
		{"no audience", func(c *Config) { jwt(c); c.Access.Audiences = nil }, "auth-audiences: it is needed with --auth jwt; any takes every token"},
		{"any audience", func(c *Config) { jwt(c); c.Access.Audiences = []string{"any"} }, ""},
		{"any audience and more", func(c *Config) { c.Access.Audiences = []string{"any", "x"} }, "auth-audiences: any must stand alone"},
		{"skew", func(c *Config) { c.Access.Skew = time.Hour }, "auth-clock-skew: it must be from 0s to 10m0s"},
		{"age of keys", func(c *Config) { c.Access.KeysMaxAge = time.Minute }, "auth-keys-max-age: it must be from 5m0s"},
		{"roles", func(c *Config) { c.Access.Roles = []string{"boss=root"} }, `auth-roles: "root" is no role`},
		{"names", func(c *Config) { c.Access.Names = []string{"boss=admin"} }, "auth-names: \"boss=admin\": its pattern must begin with"},
		{"certificates without TLS", func(c *Config) { c.Auth, c.ClientCAFile = AuthMTLS, file }, "client-ca-file: --auth mtls needs tls-cert-file"},
		{"certificates without CA", func(c *Config) { tls(c); c.Auth = AuthMTLS }, "client-ca-file: it is needed with --auth mtls"},
		{"CA for nothing", func(c *Config) { tls(c); c.ClientCAFile = file }, "client-ca-file: it does nothing without --auth mtls"},
		{"no key", func(c *Config) { c.TLSCertFile = file }, "tls-key-file: it is needed with tls-cert-file"},
		{"no certificate", func(c *Config) { c.TLSKeyFile = file }, "tls-cert-file: it is needed with tls-key-file"},
		{"audit", func(c *Config) { c.Audit = filepath.Join(folder, "audit.jsonl") }, ""},
		{"audit to stdout", func(c *Config) { c.Audit = AuditStdout }, ""},
		{"audit nowhere", func(c *Config) { c.Audit = "" }, "audit: it needs a file, or stdout or none"},
		{"audit without a folder", func(c *Config) { c.Audit = filepath.Join(folder, "no", "audit") }, "is no folder"},
		{"audit to a folder", func(c *Config) { c.Audit = folder }, "is a folder"},
	})
}

func TestValidateLimits(t *testing.T) {
	validate(t, []validation{
		{"no rate", func(c *Config) { c.Limits.Rate = 0 }, ""},
		{"negative rate", func(c *Config) { c.Limits.Rate = -1 }, "rate: it must be 0, or from 0.01 to 1e9, not -1"},
		{"no burst", func(c *Config) { c.Limits.RateBurst = 0 }, "rate-burst: it must be from 1"},
		{"no requests", func(c *Config) { c.Limits.MaxRequests = 0 }, "max-requests: it must be from 1"},
		{"sizes", func(c *Config) {
			c.Limits.MaxBody = []string{"16MiB", "put_v2_components=64 MiB", "patch_v2_options=1024"}
		}, ""},
		{"size", func(c *Config) { c.Limits.MaxBody = []string{"large"} }, `max-body: "large" is not a size from 1 to 2147483647 bytes`},
		{"huge size", func(c *Config) { c.Limits.MaxBody = []string{"99999999999MiB"} }, "max-body: "},
		{"two sizes", func(c *Config) { c.Limits.MaxBody = []string{"1", "2"} }, "max-body: there is more than one for all operations"},
		{"size twice", func(c *Config) { c.Limits.MaxBody = []string{"a=1", "a=2"} }, `max-body: "a" is there twice`},
		{"size of nothing", func(c *Config) { c.Limits.MaxBody = []string{"=1"} }, "names no operation"},
		{"time", func(c *Config) { c.Limits.RequestTimeout = []string{"1"} }, `request-timeout: "1" is not a time from 0s to 24h0m0s`},
		{"negative time", func(c *Config) { c.Limits.RequestTimeout = []string{"a=-1s"} }, "request-timeout: "},
	})
	l := Limits{MaxBody: []string{"2KiB", "a=3", " b = 1 MiB"}, RequestTimeout: []string{"a=0s", "90s"}}
	all, of, err := l.BodySizes()
	if diff := cmp.Diff(map[string]int64{"a": 3, "b": 1 << 20}, of); diff != "" || all != 2048 || err != nil {
		t.Errorf("%d, %s, %v", all, diff, err)
	}
	every, times, err := l.Timeouts()
	if diff := cmp.Diff(map[string]time.Duration{"a": 0}, times); diff != "" || every != 90*time.Second || err != nil {
		t.Errorf("%v, %s, %v", every, diff, err)
	}
}

func TestAuthenticates(t *testing.T) {
	for auth, want := range map[string][2]bool{"": {}, "none": {}, "jwt": {true, false}, "mtls": {false, true}, "mtls,jwt": {true, true}} {
		jwt, mtls := (&Config{Auth: auth}).Authenticates()
		if [2]bool{jwt, mtls} != want {
			t.Errorf("%q: %v, %v", auth, jwt, mtls)
		}
	}
}

// A secret that is set by a flag is warned of, and not shown; elsewhere it is
// not.
func TestSecretFlagsWarn(t *testing.T) {
	c := bound(t, []string{"--s3-secret-key=hush", "--s3-access-key=hush"})
	warnings, err := c.Load([]string{"BOS_ETCD_PASSWORD=hush"})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(warnings, "\n")
	if len(warnings) != 2 || strings.Contains(text, "hush") || !strings.Contains(text, "--s3-secret-key holds a secret") ||
		!strings.Contains(text, "BOS_S3_SECRET_KEY") || strings.Contains(text, "etcd") {
		t.Errorf("warnings: %s", text)
	}
}
