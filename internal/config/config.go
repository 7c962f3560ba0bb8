// SPDX-License-Identifier: MIT

// Package config holds all settings of bosd in one struct. A setting comes from
// its flag, else from the environment (BOS_ and its name in capitals), else
// from a YAML file, else from [Default]. Everything that is known about a
// setting is in one row of a table; flags, environment, file, checks and
// printing follow from it.
//
// The use of it: [Default], [Config.Bind], parse the flags, [Config.Load],
// [Config.Validate].
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"bos/internal/decide"
	"bos/internal/sim"
)

// None turns a service off that a site can do without, or authentication.
const None = "none"

// All stands for all operators.
const All = "all"

// The values of LogFormat and Output.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// DemoTimeScale is how much faster than real hardware a demonstration's is.
const DemoTimeScale = 0.01

// Credentials are what a client shows, and whom it trusts; each may be "".
type Credentials struct {
	// TokenFile holds a bearer token; it is read at each request.
	TokenFile string
	// CAFile, CertFile and KeyFile are PEM files.
	CAFile, CertFile, KeyFile string
}

// Config is the configuration of one command. It must not be copied once it is
// bound to flags.
type Config struct {
	// File is the YAML file that is read; "" is none.
	File string
	// LogFormat is text or json.
	LogFormat string

	// Listen is host:port; an empty host is all addresses, port 0 any free one.
	Listen string
	// MetricsListen is host:port where a process without an API serves metrics and
	// probes; "" serves nothing.
	MetricsListen string
	// The bounds of the HTTP server; 0 is none for ReadTimeout and WriteTimeout.
	ShutdownTimeout, ReadHeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// MaxHeaderBytes bounds a request's line and header together.
	MaxHeaderBytes int
	// TLSCertFile and TLSKeyFile are PEM files of the server; "" is none, and
	// connections are not encrypted. They, and ClientCAFile, may be replaced
	// while the process runs.
	TLSCertFile, TLSKeyFile string
	// ClientCAFile is a PEM file of the CAs of client certificates.
	ClientCAFile string

	// Prefix and ProxyPath begin with a slash and don't end with one; ProxyPath
	// may be "".
	Prefix, ProxyPath string
	// Auth is AuthJWT, AuthMTLS or both with a comma, or None; "" while nobody
	// has decided: then only this host may be listened on. See Authenticates.
	Auth   string
	Access Access
	Limits Limits
	// Audit is the file that gets the audit trail, AuditStdout or None.
	Audit string

	// DataDir holds the embedded store; it is not used with EtcdEndpoints.
	DataDir string
	// DataQuota is the largest size of its file in MiB.
	DataQuota int
	// Cluster makes the embedded store one of several.
	Cluster Cluster
	// Snapshots is when the store is copied to files.
	Snapshots Snapshots
	// EtcdEndpoints is the cluster to use in place of the embedded store.
	EtcdEndpoints []string
	// EtcdCAFile, EtcdCertFile and EtcdKeyFile are PEM files.
	EtcdCAFile, EtcdCertFile, EtcdKeyFile string
	// EtcdPassword may be in EtcdPasswordFile instead; see StorePassword.
	EtcdUsername     string
	EtcdPassword     Secret
	EtcdPasswordFile string

	// PowerOnRate and PowerOnInFlight bound how many nodes are switched on within
	// a second, and how many may be switched on and not up yet; 0 is no bound.
	PowerOnRate, PowerOnInFlight int

	// EventsMaxBytes and EventsKeep bound what is kept of events, in bytes of the
	// store and in age; an age of 0 is no bound.
	EventsMaxBytes int
	EventsKeep     time.Duration

	// Operators are names of operators, or All or None alone; see
	// OperatorNames.
	Operators []string

	// The base URLs of the services. CFSURL, IMSURL and TAPMSURL may be None;
	// see Enabled.
	HSMURL, PCSURL, BSSURL, CFSURL, IMSURL, TAPMSURL string
	// S3Gateway is host[:port], with a protocol of its own or S3Protocol.
	S3Protocol, S3Gateway    string
	S3AccessKey, S3SecretKey Secret
	S3Region                 string
	// TenantCache is how long an answer of TAPMS is used again by the API, 0
	// (never) to 10 s. Set-up of sessions always asks.
	TenantCache time.Duration
	// TokenFile holds the bearer token for the services; "" sends none.
	TokenFile string
	// CAFile holds PEM certificates to trust beside the system's.
	CAFile             string
	InsecureSkipVerify bool

	// Simulate is the number of compute nodes of a simulated site, 0 for the
	// real one.
	Simulate int
	// TimeScale multiplies all times of a simulated site; above 0, at most 1.
	TimeScale float64
	Seed      uint64
	Faults    sim.FaultLevel
	// SiteListen is host and first port of the services of a simulated site that
	// is a process of its own; port 0 lets the system choose each.
	SiteListen string
	// ReportURL is where that site's nodes report: BOS with its prefix, without
	// /v2.
	ReportURL string
	// Report is what those nodes show where BOS asks who they are.
	Report Credentials
	// Nodes is the number of compute nodes of a site that a command simulates
	// in any case.
	Nodes int

	// Output is text or json.
	Output string
	// LogFile gets the log of a demonstration; "" is none.
	LogFile string
	Keep    bool

	groups  []Group
	flags   *pflag.FlagSet
	sources map[string]string
}

// Default returns the configuration of a command that is told nothing: the
// services where a CSM system has them, everything of its own on this host.
func Default() *Config {
	return &Config{
		LogFormat: FormatText,

		Listen: "127.0.0.1:9000",
		// With what else there is to end, the process is gone within 5 s.
		ShutdownTimeout:   4 * time.Second,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		// A list may ask for 100,000 nodes by their names, in its address.
		MaxHeaderBytes: 4 << 20,

		Prefix: "/apis/bos",

		Access: defaultAccess(),
		Limits: defaultLimits(),
		Audit:  None,

		DataDir:   "./bos-data",
		DataQuota: 8 << 10,
		Snapshots: Snapshots{Every: 24 * time.Hour, Keep: 7},
		Operators: []string{All},

		EventsMaxBytes: 64 << 20,
		EventsKeep:     90 * 24 * time.Hour,

		HSMURL:     "http://cray-smd/hsm/v2",
		PCSURL:     "http://cray-power-control",
		BSSURL:     "http://cray-bss/boot/v1",
		CFSURL:     "http://cray-cfs-api/v3",
		IMSURL:     "http://cray-ims/v3",
		TAPMSURL:   "http://cray-tapms/v1alpha3",
		S3Protocol: "http",
		S3Gateway:  "rgw-vip.nmn",
		S3Region:   "us-east-1",

		TimeScale:  1,
		Seed:       1,
		SiteListen: "127.0.0.1:27700",
		ReportURL:  "http://127.0.0.1:9000/apis/bos",
		Nodes:      64,

		Output: FormatText,
	}
}

// Demo returns the configuration of a demonstration that is told nothing:
// [Default] in quick motion.
func Demo() *Config {
	c := Default()
	c.TimeScale = DemoTimeScale
	return c
}

// Bind registers the flags of some groups; the values that c has are their
// defaults. A Config belongs to one command: it looks at the flags of its last
// Bind, and checks the settings of the groups that it was bound to, of all if
// it was bound to none.
func (c *Config) Bind(fs *pflag.FlagSet, groups ...Group) {
	c.flags = fs
	c.groups = append(c.groups, groups...)
	for _, s := range c.settings() {
		if !c.uses(s.group) || fs.Lookup(s.name) != nil {
			continue
		}
		f := fs.VarPF(s.value, s.name, "", s.usage())
		if s.value.Type() == kindBool {
			f.NoOptDefVal = "true"
		}
	}
}

// uses reports whether the command uses the settings of a group.
func (c *Config) uses(g Group) bool {
	return len(c.groups) == 0 || g == groupAlways || slices.Contains(c.groups, g)
}

// source says where the value of a setting is from: "default", "file", "env"
// with the name of the variable, or "flag".
func (c *Config) source(name string) string {
	if c.byFlag(name) {
		return "flag"
	}
	if s, ok := c.sources[name]; ok {
		return s
	}
	return "default"
}

func (c *Config) byFlag(name string) bool {
	if c.flags == nil {
		return false
	}
	f := c.flags.Lookup(name)
	return f != nil && f.Changed
}

// Enabled reports whether a service that the site can do without is there: its
// URL is not None.
func Enabled(url string) bool { return url != None }

// OperatorNames returns the operators to run, of [decide.Roles].
func (c *Config) OperatorNames() []string {
	switch {
	case slices.Contains(c.Operators, All):
		return decide.Roles()
	case slices.Contains(c.Operators, None):
		return nil
	default:
		return slices.Clone(c.Operators)
	}
}

// maxPasswordFile bounds the file of a password in bytes.
const maxPasswordFile = 64 << 10

// StorePassword returns the password for the external store, read anew from
// EtcdPasswordFile if that is set. White space around it is not part of it.
func (c *Config) StorePassword() (Secret, error) {
	if c.EtcdPasswordFile == "" {
		return c.EtcdPassword, nil
	}
	raw, err := readFile(c.EtcdPasswordFile, maxPasswordFile)
	if err != nil {
		return "", fmt.Errorf("read the password of the store: %w", err)
	}
	password := bytes.TrimSpace(raw)
	if len(password) == 0 {
		return "", fmt.Errorf("read the password of the store: %s is empty", c.EtcdPasswordFile)
	}
	return Secret(password), nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// hidden is what is shown of a secret.
const hidden = "(hidden)"

// Secret is a text that is not shown, in logs or anywhere: string(s) is the only
// way to it.
type Secret string

// String returns "" for no secret, and else not the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String, for logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
