// SPDX-License-Identifier: MIT

package config

import (
	"math"
	"strings"
	"testing"
	"time"
)

// validation is a change of the defaults, and what is in the one fault that it
// makes; "" for none.
type validation struct {
	name   string
	change func(*Config)
	want   string
}

func validate(t *testing.T, tests []validation) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.change(c)
			err := c.Validate()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestValidateServer(t *testing.T) {
	validate(t, []validation{
		{"any free port", func(c *Config) { c.Listen = "[::1]:0" }, ""},
		{"localhost", func(c *Config) { c.Listen = "LocalHost:9000" }, ""},
		{"mapped loopback", func(c *Config) { c.Listen = "[::ffff:127.0.0.1]:9000" }, ""},
		{"everywhere, said", func(c *Config) { c.Listen, c.Auth = ":9000", None }, ""},
		{"everywhere", func(c *Config) { c.Listen = ":9000" }, `listen: ":9000" can be reached from other hosts, and everybody there could command all nodes; say --auth none`},
		{"all addresses", func(c *Config) { c.Listen = "0.0.0.0:9000" }, "say --auth none"},
		{"all addresses of IPv6", func(c *Config) { c.Listen = "[::]:9000" }, "say --auth none"},
		{"a host", func(c *Config) { c.Listen = "bos.example.com:9000" }, "say --auth none"},
		{"looks like loopback", func(c *Config) { c.Listen = "127.0.0.1.example.com:9000" }, "say --auth none"},
		{"metrics here", func(c *Config) { c.MetricsListen = "localhost:0" }, ""},
		{"metrics everywhere", func(c *Config) { c.MetricsListen = ":9001" }, `metrics-listen: ":9001" can be reached from other hosts, and metrics name sessions and tenants; say --auth-open-metrics`},
		{"metrics everywhere, said", func(c *Config) { c.MetricsListen, c.Access.OpenMetrics = ":9001", true }, ""},
		{"metrics everywhere, behind something", func(c *Config) { c.MetricsListen, c.Auth = ":9001", None }, ""},
		{"metrics at no port", func(c *Config) { c.MetricsListen = "localhost" }, `metrics-listen: "localhost" is not host:port`},
		{"no port", func(c *Config) { c.Listen = "127.0.0.1" }, `listen: "127.0.0.1" is not host:port`},
		{"port name", func(c *Config) { c.Listen = "localhost:http" }, `listen: "http" is not a port from 0 to 65535`},
		{"port too large", func(c *Config) { c.Listen = "localhost:65536" }, `listen: "65536" is not a port`},
		{"no host", func(c *Config) { c.Listen = "a b:1" }, `listen: "a b" is neither an address nor the name of a host`},
		{"auth", func(c *Config) { c.Auth = "oidc" }, `auth: "oidc" is none of jwt, mtls; none stands alone`},
		{"prefix", func(c *Config) { c.Prefix = "" }, "prefix: it needs a path such as /apis/bos"},
		{"prefix upwards", func(c *Config) { c.Prefix = "/apis/.." }, "prefix: \"/apis/..\" is not a path"},
		{"prefix with a query", func(c *Config) { c.Prefix = "/apis?x" }, "prefix: "},
		{"proxy path", func(c *Config) { c.ProxyPath = "/a//b" }, "proxy-path: "},
		{"no time", func(c *Config) { c.ShutdownTimeout = 0 }, ""},
		{"negative time", func(c *Config) { c.ShutdownTimeout = -1 }, "shutdown-timeout: it must be from 0s to 24h0m0s, not -1ns"},
		{"no header time", func(c *Config) { c.ReadHeaderTimeout = 0 }, "read-header-timeout: it must be from 10ms"},
		{"no read time", func(c *Config) { c.ReadTimeout, c.WriteTimeout = 0, 0 }, ""},
		{"too long", func(c *Config) { c.WriteTimeout = 25 * time.Hour }, "write-timeout: "},
		{"small header", func(c *Config) { c.MaxHeaderBytes = 1000 }, "max-header-bytes: it must be from 8192 to 67108864, not 1000"},
		{"log", func(c *Config) { c.LogFormat = "xml" }, `log-format: "xml" is none of text, json`},
	})
}

func TestValidateStore(t *testing.T) {
	file, folder := write(t, "file.pem", "x"), t.TempDir()
	validate(t, []validation{
		{"no folder", func(c *Config) { c.DataDir = "" }, "data-dir: it needs a folder, since there are no etcd-endpoints"},
		{"no folder needed", func(c *Config) { c.DataDir, c.EtcdEndpoints = "", []string{"etcd-0:2379", "http://[::1]:2379/"} }, ""},
		{"endpoint with path", func(c *Config) { c.EtcdEndpoints = []string{"http://a:1/v3"} }, "etcd-endpoints: \"http://a:1/v3\" has a path"},
		{"endpoints without port and scheme", func(c *Config) { c.EtcdEndpoints = []string{"http://a", "ftp://b:1"} },
			`etcd-endpoints: "http://a" has no port; "ftp://b:1": it begins with neither http:// nor https://`},
		{"endpoint in the clear", func(c *Config) {
			c.EtcdEndpoints, c.EtcdCAFile = []string{"a:1", "https://b:1", "http://c:1"}, file
		}, `etcd-endpoints: "http://c:1" is not encrypted, but there are certificates`},
		{"certificate without key", func(c *Config) { c.EtcdCertFile = file }, "etcd-key-file: it is needed with etcd-cert-file"},
		{"key without certificate", func(c *Config) { c.EtcdKeyFile = file }, "etcd-cert-file: it is needed with etcd-key-file"},
		{"missing file", func(c *Config) { c.CAFile = file + "x" }, "ca-file: " + file + "x can't be read: no such file or directory"},
		{"folder for a file", func(c *Config) { c.EtcdCAFile = folder }, "etcd-ca-file: " + folder + " can't be read: it is a folder"},
		{"password without user", func(c *Config) { c.EtcdPassword = "p" }, "etcd-username: it is needed with a password"},
		{"user without password", func(c *Config) { c.EtcdUsername = "u" }, "etcd-password: it, or etcd-password-file, is needed with etcd-username"},
		{"two passwords", func(c *Config) { c.EtcdUsername, c.EtcdPassword, c.EtcdPasswordFile = "u", "p", file }, "etcd-password: there is an etcd-password-file too"},
	})
}

func TestValidateCluster(t *testing.T) {
	file := write(t, "file.pem", "x")
	secured := func(c *Config) { c.Cluster.CAFile, c.Cluster.CertFile, c.Cluster.KeyFile = file, file, file }
	validate(t, []validation{
		{"alone", func(*Config) {}, ""},
		{"on this host", func(c *Config) { c.Cluster.Listen, c.Cluster.ClientListen = "127.0.0.1:2380", "localhost:2379" }, ""},
		{"secured", func(c *Config) {
			secured(c)
			c.Cluster.Listen, c.Cluster.ClientListen = "10.1.2.3:2380", "[fd00::1]:2379"
		}, ""},
		{"insecure, said", func(c *Config) { c.Cluster.Listen, c.Cluster.Insecure = "10.1.2.3:2380", true }, ""},
		{"insecure", func(c *Config) { c.Cluster.Listen = "10.1.2.3:2380" }, `cluster-listen: "10.1.2.3:2380" can be reached from other hosts`},
		{"insecure for clients", func(c *Config) {
			c.Cluster.Listen, c.Cluster.ClientListen = "127.0.0.1:2380", "10.1.2.3:2379"
		}, `cluster-client-listen: "10.1.2.3:2379" can be reached from other hosts`},
		{"everywhere", func(c *Config) { secured(c); c.Cluster.Listen = "0.0.0.0:2380" }, "cluster-advertise: it is needed: others can't reach this host"},
		{"everywhere, with an address", func(c *Config) {
			secured(c)
			c.Cluster.Listen, c.Cluster.Advertise = "0.0.0.0:2380", "bos-0.bos:2380"
		}, ""},
		{"a name to listen on", func(c *Config) { secured(c); c.Cluster.Listen = "bos-0:2380" }, "is not an address of this host"},
		{"no port", func(c *Config) { c.Cluster.Listen = "127.0.0.1:0" }, "cluster-listen: it needs a port that others know"},
		{"only clients", func(c *Config) { c.Cluster.ClientListen = "127.0.0.1:2379" }, "cluster-listen: it is needed by the other settings"},
		{"advertised for nobody", func(c *Config) {
			c.Cluster.Listen, c.Cluster.ClientAdvertise = "127.0.0.1:2380", "a:2379"
		}, "cluster-client-advertise: it is of no use without cluster-client-listen"},
		{"inside and outside", func(c *Config) {
			c.Cluster.Listen, c.EtcdEndpoints = "127.0.0.1:2380", []string{"a:1"}
		}, "cluster-listen: there are etcd-endpoints too"},
		{"join", func(c *Config) { c.Cluster.Listen, c.Cluster.Join = "127.0.0.1:2380", []string{"bos-0:2379"} }, ""},
		{"join nobody", func(c *Config) { c.Cluster.Listen, c.Cluster.Join = "127.0.0.1:2380", []string{":2379"} }, "cluster-join: "},
		{"join a URL", func(c *Config) {
			c.Cluster.Listen, c.Cluster.Join = "127.0.0.1:2380", []string{"http://bos-0:2379"}
		}, `cluster-join: "http://bos-0:2379" is not host:port`},
		{"begin", func(c *Config) {
			c.Cluster.Listen, c.Cluster.Initial = "127.0.0.1:2380", []string{"a=127.0.0.1:2380", "b=127.0.0.1:2381"}
		}, ""},
		{"begin twice", func(c *Config) {
			c.Cluster.Listen, c.Cluster.Initial = "127.0.0.1:2380", []string{"a=127.0.0.1:2380", "b=127.0.0.1:2380"}
		}, `cluster-initial: "b=127.0.0.1:2380" is there twice`},
		{"begin without names", func(c *Config) {
			c.Cluster.Listen, c.Cluster.Initial = "127.0.0.1:2380", []string{"127.0.0.1:2380"}
		}, `cluster-initial: "127.0.0.1:2380" is not name=host:port`},
		{"join and begin", func(c *Config) {
			c.Cluster.Listen, c.Cluster.Join, c.Cluster.Initial = "127.0.0.1:2380", []string{"b:1"}, []string{"a=127.0.0.1:2380"}
		}, "cluster-join: there is cluster-initial too"},
		{"a certificate without a CA", func(c *Config) { c.Cluster.CertFile, c.Cluster.KeyFile = file, file }, "cluster-ca-file: a CA and a certificate are needed together"},
		{"a certificate without a key", func(c *Config) { c.Cluster.CAFile, c.Cluster.CertFile = file, file }, "cluster-key-file: it is needed with cluster-cert-file"},
		{"name", func(c *Config) { c.Cluster.Name = "a=b" }, "cluster-name: "},
		{"copies", func(c *Config) { c.Snapshots.Keep = 0 }, "snapshot-keep: it must be from 1 to 10000, not 0"},
		{"copies all the time", func(c *Config) { c.Snapshots.Every = time.Millisecond }, "snapshot-every: it must be from 1s"},
	})
}

func TestValidateServicesAndSite(t *testing.T) {
	validate(t, []validation{
		{"operators", func(c *Config) { c.Operators = []string{"status", "power-on"} }, ""},
		{"no operators", func(c *Config) { c.Operators = nil }, "operators: it needs all, none, or some of actual-state-cleanup"},
		{"operator", func(c *Config) { c.Operators = []string{"stat"} }, `operators: "stat" is no operator; there are actual-state-cleanup`},
		{"operator twice", func(c *Config) { c.Operators = []string{"status", "status"} }, "operators: status is named twice"},
		{"all and more", func(c *Config) { c.Operators = []string{All, "status"} }, "operators: all must stand alone"},
		{"services off", func(c *Config) { c.CFSURL, c.IMSURL, c.TAPMSURL = None, None, None }, ""},
		{"HSM off", func(c *Config) { c.HSMURL = None }, `hsm-url: "none": it begins with neither http:// nor https://`},
		{"off in capitals", func(c *Config) { c.CFSURL = "None" }, `cfs-url: "None": it begins with neither http:// nor https://; none turns the service off`},
		{"URL without host", func(c *Config) { c.PCSURL = "http:///x" }, "pcs-url: \"http:///x\": it has no host"},
		{"URL with query", func(c *Config) { c.PCSURL = "http://x/?a" }, "it has a query or a fragment"},
		{"URL with a port too large", func(c *Config) { c.PCSURL = "http://x:70000" }, "its port is not from 1 to 65535"},
		{"URL with a strange host", func(c *Config) { c.BSSURL = "http://a%20b" }, "bss-url: "},
		{"URL that is none", func(c *Config) { c.BSSURL = "http://[::1" }, "bss-url: \"http://[::1\": it is not a URL"},
		{"S3 protocol", func(c *Config) { c.S3Protocol = "ftp" }, `s3-protocol: "ftp" is none of http, https`},
		{"S3 gateway with port", func(c *Config) { c.S3Gateway = "https://rgw:8080/" }, ""},
		{"S3 gateway", func(c *Config) { c.S3Gateway = "" }, "s3-gateway: it needs a host"},
		{"S3 gateway with path", func(c *Config) { c.S3Gateway = "rgw/bucket" }, `s3-gateway: "rgw/bucket" has a path`},
		{"access key alone", func(c *Config) { c.S3AccessKey = "hush" }, "s3-secret-key: it is needed with s3-access-key"},
		{"secret key alone", func(c *Config) { c.S3SecretKey = "hush" }, "s3-access-key: it is needed with s3-secret-key"},
		{"secret key with a line break", func(c *Config) { c.S3AccessKey, c.S3SecretKey = "hush", "hush\nhush" }, "s3-secret-key: it holds control characters"},
		{"region", func(c *Config) { c.S3Region = "\xff" }, "s3-region: "},
		{"tenants asked for each time", func(c *Config) { c.TenantCache = 0 }, ""},
		{"tenants remembered", func(c *Config) { c.TenantCache = 10 * time.Second }, ""},
		{"tenants remembered too long", func(c *Config) { c.TenantCache = 11 * time.Second }, "tenant-cache: it must be from 0s to 10s, not 11s"},
		{"tenants forgotten", func(c *Config) { c.TenantCache = -time.Second }, "tenant-cache: it must be from 0s to 10s, not -1s"},
		{"too many nodes", func(c *Config) { c.Simulate = 512001 }, "simulate: it must be from 0 to 512000, not 512001"},
		{"no nodes", func(c *Config) { c.Nodes = 0 }, "nodes: it must be from 1 to 512000, not 0"},
		{"time stands still", func(c *Config) { c.TimeScale = 0 }, "time-scale: it must be above 0 and at most 1, not 0"},
		{"slow motion", func(c *Config) { c.TimeScale = 1.5 }, "time-scale: "},
		{"no number", func(c *Config) { c.TimeScale = math.NaN() }, "time-scale: it must be above 0 and at most 1, not NaN"},
		{"ports of the site", func(c *Config) { c.SiteListen = "127.0.0.1:65530" }, "site-listen: the services would need the ports 65530 to 65536"},
		{"no site", func(c *Config) { c.SiteListen = "x" }, `site-listen: "x" is not host:port`},
		{"free ports of the site", func(c *Config) { c.SiteListen = ":0" }, ""},
		{"report", func(c *Config) { c.ReportURL = "bos" }, "report-url: "},
		{"output", func(c *Config) { c.Output = "yaml" }, `output: "yaml" is none of text, json`},
	})
}

// All faults come at once, and each says how to mend it.
func TestAllFaultsAtOnce(t *testing.T) {
	c := bound(t, []string{"--listen=0.0.0.0:9000", "--config", write(t, "bos.yaml", "hsm-url: hsm\n")})
	if _, err := c.Load([]string{"S3_PROTOCOL=ftp", "BOS_NODES=0"}); err != nil {
		t.Fatal(err)
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("no fault")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"(--listen or BOS_LISTEN; now from flag)",
		"(--hsm-url or BOS_HSM_URL; now from file)",
		"(--s3-protocol or BOS_S3_PROTOCOL or S3_PROTOCOL; now from env S3_PROTOCOL)",
		"(--nodes or BOS_NODES; now from env BOS_NODES)",
	} {
		if len(lines) != 4 || !strings.HasSuffix(lines[i], want) {
			t.Errorf("%q lacks %q", lines, want)
		}
	}
}

// A command minds its own settings: what others need does not keep it from
// starting.
func TestOnlyOwnFaults(t *testing.T) {
	environ := []string{"BOS_LISTEN=0.0.0.0:9000", "BOS_HSM_URL=nowhere", "BOS_OUTPUT=json"}
	c := bound(t, nil, GroupNodes, GroupDemo, GroupSite)
	if _, err := c.Load(environ); err != nil || c.Validate() != nil || c.Output != FormatJSON {
		t.Errorf("a demonstration: %v, %v", err, c.Validate())
	}
	// An operator serves no API where it listens, and has no store of its own.
	c = bound(t, nil, GroupListen, GroupEtcd)
	if _, err := c.Load(environ); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "etcd-endpoints: it is needed; this command has no store of its own") {
		t.Errorf("an operator: %v", err)
	}
	if c.Loopback() {
		t.Error("loopback")
	}
}

// What is about a server keeps an operator from starting only if it has one.
func TestOperatorMindsItsServer(t *testing.T) {
	environ := []string{"BOS_ETCD_ENDPOINTS=http://etcd:2379", "BOS_TLS_CERT_FILE=/nowhere", "BOS_AUTH=jwt", "BOS_MAX_REQUESTS=0"}
	for listen, faults := range map[string]int{"": 0, "127.0.0.1:0": 4} {
		c := bound(t, nil, GroupMetrics, GroupHTTP, GroupAuth, GroupLimits, GroupEtcd)
		if _, err := c.Load(append(environ, "BOS_METRICS_LISTEN="+listen)); err != nil {
			t.Fatal(err)
		}
		got := 0
		if err := c.Validate(); err != nil {
			got = strings.Count(err.Error(), "\n") + 1
		}
		if got != faults {
			t.Errorf("listening on %q: %d faults, want %d: %v", listen, got, faults, c.Validate())
		}
	}
}
