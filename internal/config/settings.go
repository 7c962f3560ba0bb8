// SPDX-License-Identifier: MIT

package config

import (
	"slices"
	"strings"
	"time"

	"bos/internal/upstream/tapms"
)

// Group is a set of settings that commands use together.
type Group int

// The groups.
const (
	// groupAlways is what every command has: the file.
	groupAlways Group = iota
	// GroupLog is how the log looks.
	GroupLog
	// GroupListen is where the API is served.
	GroupListen
	// GroupMetrics is where a process without an API serves metrics and probes.
	GroupMetrics
	// GroupHTTP is the HTTP server of a process.
	GroupHTTP
	// GroupAPI is the API that is served there.
	GroupAPI
	// GroupAuth is who may use the API.
	GroupAuth
	// GroupLimits is how much clients may take of it.
	GroupLimits
	// GroupAudit is where it is written down who has changed what.
	GroupAudit
	// GroupEmbedded is the store in this process.
	GroupEmbedded
	// GroupCluster makes that store one of several.
	GroupCluster
	// GroupSnapshots is when the store is copied to files.
	GroupSnapshots
	// GroupEtcd is the store outside; it is needed without GroupEmbedded.
	GroupEtcd
	// GroupOperators is the choice of operators.
	GroupOperators
	// GroupPower is how much the operators may switch on.
	GroupPower
	// GroupEvents is how much of what happens is kept.
	GroupEvents
	// GroupServices is where and how the services around BOS are reached.
	GroupServices
	// GroupSimulate is the choice of a simulated site in place of a real one.
	GroupSimulate
	// GroupSite is what a simulated site is like.
	GroupSite
	// GroupNodes is the size of a site that is simulated in any case.
	GroupNodes
	// GroupSiteServer is a simulated site as a process of its own.
	GroupSiteServer
	// GroupDemo is how a demonstration goes.
	GroupDemo
)

// Groups returns all groups, for commands about the configuration itself.
func Groups() []Group {
	var all []Group
	for g := GroupLog; g <= GroupDemo; g++ {
		all = append(all, g)
	}
	return all
}

// title is the heading of a group in a file; neighbours may share one.
func (g Group) title() string {
	switch g {
	case groupAlways:
		return ""
	case GroupLog:
		return "Log"
	case GroupListen, GroupMetrics, GroupHTTP:
		return "HTTP server"
	case GroupAPI:
		return "API"
	case GroupAuth:
		return "Who may use the API"
	case GroupLimits:
		return "Limits of the API"
	case GroupAudit:
		return "Audit trail"
	case GroupEmbedded:
		return "Embedded store"
	case GroupCluster:
		return "Cluster of embedded stores"
	case GroupSnapshots:
		return "Copies of the store"
	case GroupEtcd:
		return "External store, in place of the embedded one"
	case GroupOperators, GroupPower:
		return "Operators"
	case GroupEvents:
		return "Events"
	case GroupServices:
		return "Services"
	case GroupSimulate, GroupSite, GroupNodes, GroupSiteServer:
		return "Simulated site"
	case GroupDemo:
		return "Demonstration"
	}
	return ""
}

// setting is all that is known about one setting.
type setting struct {
	group Group
	// name is that of the flag, and the key in the file.
	name string
	// help has the placeholder of the value in backquotes.
	help  string
	value value
	// also are names in the environment beside BOS_ and the name.
	also []string
	// check says what is wrong with the value; nil if every one will do.
	check func() error
}

// fileSetting names the file itself, which can't be in the file.
const fileSetting = "config"

// env returns the setting's names in the environment; the first one that is
// set counts.
func (s *setting) env() []string {
	return append([]string{envPrefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))}, s.also...)
}

func (s *setting) usage() string { return s.help + " (" + strings.Join(s.env(), ", ") + ")" }

func (s *setting) isSecret() bool {
	_, ok := s.value.(cell[Secret])
	return ok
}

// settings is the table: one row for each setting, in the order of the file.
func (c *Config) settings() []*setting {
	return slices.Concat(
		[]*setting{
			{groupAlways, fileSetting, "YAML `file` with settings", text(&c.File), nil, nil},
			{GroupLog, "log-format", "`format` of the log, text or json", text(&c.LogFormat), nil, oneOf(&c.LogFormat, FormatText, FormatJSON)},
		},
		c.serverSettings(), c.accessSettings(), c.limitSettings(), c.auditSettings(),
		c.embeddedSettings(), c.storeSettings(), c.serviceSettings(), c.siteSettings(),
	)
}

func (c *Config) serverSettings() []*setting {
	return []*setting{
		{GroupListen, "listen", "`address` to listen on; an empty host is all addresses, port 0 any free one",
			text(&c.Listen), nil, c.checkListen},
		{GroupMetrics, "metrics-listen", "`address` where an operator in a process of its own serves /metrics, /livez and /readyz; none serves nothing",
			text(&c.MetricsListen), nil, c.checkMetricsListen},
		{GroupHTTP, "shutdown-timeout", "`time` that requests get to end when the process is told to",
			duration(&c.ShutdownTimeout), nil, within(&c.ShutdownTimeout, 0, maxTimeout)},
		{GroupHTTP, "read-header-timeout", "`time` that the header of a request may take",
			duration(&c.ReadHeaderTimeout), nil, within(&c.ReadHeaderTimeout, minTimeout, maxTimeout)},
		{GroupHTTP, "read-timeout", "`time` that a request may take to arrive; 0 is no limit",
			duration(&c.ReadTimeout), nil, zeroOrWithin(&c.ReadTimeout, minTimeout, maxTimeout)},
		{GroupHTTP, "write-timeout", "`time` that an answer may take, streams apart; 0 is no limit",
			duration(&c.WriteTimeout), nil, zeroOrWithin(&c.WriteTimeout, minTimeout, maxTimeout)},
		{GroupHTTP, "idle-timeout", "`time` that an unused connection is kept",
			duration(&c.IdleTimeout), nil, within(&c.IdleTimeout, minTimeout, maxTimeout)},
		{GroupHTTP, "max-header-bytes", "largest `size` of a request's line and header together",
			integer(&c.MaxHeaderBytes), nil, within(&c.MaxHeaderBytes, minHeader, maxHeader)},
		{GroupHTTP, "tls-cert-file", "PEM `file` of the server's certificate; with it connections are encrypted; read anew when it changes",
			text(&c.TLSCertFile), nil, c.checkServerCert},
		{GroupHTTP, "tls-key-file", "PEM `file` of the key of that certificate", text(&c.TLSKeyFile), nil, c.checkServerKey},
		{GroupHTTP, "client-ca-file", "PEM `file` of the CAs of client certificates", text(&c.ClientCAFile), nil, c.checkClientCA},
		{GroupAPI, "prefix", "`path` under which the API is served beside the root", path(&c.Prefix), nil, c.checkPrefix},
		{GroupAPI, "proxy-path", "`path` that is put in front of links for requests that came through a proxy",
			path(&c.ProxyPath), []string{"PROXY_PATH"}, checkPath(&c.ProxyPath)},
		{GroupAuth, "auth", "`kind` of authentication: jwt (bearer tokens), mtls (client certificates), both with a comma, or none, which lets everybody in who reaches the address; it must be said beyond this host",
			text(&c.Auth), nil, c.checkAuth},
	}
}

func (c *Config) storeSettings() []*setting {
	return []*setting{
		{GroupEtcd, "etcd-endpoints", "`addresses` of an etcd cluster to use in place of the embedded store",
			list{&c.EtcdEndpoints}, nil, c.checkEndpoints},
		{GroupEtcd, "etcd-ca-file", "PEM `file` of the CA of the cluster", text(&c.EtcdCAFile), nil, readable(&c.EtcdCAFile)},
		{GroupEtcd, "etcd-cert-file", "PEM `file` of the client certificate", text(&c.EtcdCertFile), nil, c.checkCert},
		{GroupEtcd, "etcd-key-file", "PEM `file` of the key of that certificate", text(&c.EtcdKeyFile), nil, c.checkKey},
		{GroupEtcd, "etcd-username", "`user` of the cluster, with a password", text(&c.EtcdUsername), nil, c.checkUsername},
		{GroupEtcd, "etcd-password", "`password` of that user; better in the environment or a file, since others can see arguments",
			secret(&c.EtcdPassword), nil, c.checkPassword},
		{GroupEtcd, "etcd-password-file", "`file` that holds the password", text(&c.EtcdPasswordFile), nil, readable(&c.EtcdPasswordFile)},
		{GroupOperators, "operators", "`names` of the operators to run in this process, or all or none", list{&c.Operators}, nil, c.checkOperators},
		{GroupPower, "power-on-rate", "`number` of nodes that are switched on within a second at most; 0 is no limit",
			integer(&c.PowerOnRate), nil, within(&c.PowerOnRate, 0, maxNodes)},
		{GroupPower, "power-on-in-flight", "`number` of nodes that may be switched on and not up yet at a time; 0 is no limit",
			integer(&c.PowerOnInFlight), nil, within(&c.PowerOnInFlight, 0, maxNodes)},
		{GroupEvents, "events-max-bytes", "largest `size` of all events that are kept of sessions and nodes; the oldest go first",
			integer(&c.EventsMaxBytes), nil, within(&c.EventsMaxBytes, 1<<20, 1<<30)},
		{GroupEvents, "events-keep", "`age` up to which events are kept; 0 is no limit",
			duration(&c.EventsKeep), nil, zeroOrWithin(&c.EventsKeep, time.Minute, maxEventsKeep)},
	}
}

func (c *Config) serviceSettings() []*setting {
	return []*setting{
		{GroupServices, "hsm-url", "base `URL` of the hardware state manager", address(&c.HSMURL), nil, checkURL(&c.HSMURL)},
		{GroupServices, "pcs-url", "base `URL` of power control", address(&c.PCSURL), nil, checkURL(&c.PCSURL)},
		{GroupServices, "bss-url", "base `URL` of the boot script service", address(&c.BSSURL), nil, checkURL(&c.BSSURL)},
		{GroupServices, "cfs-url", "base `URL` of the configuration framework, or none", address(&c.CFSURL), nil, checkURLOrNone(&c.CFSURL)},
		{GroupServices, "ims-url", "base `URL` of the image management service, or none", address(&c.IMSURL), nil, checkURLOrNone(&c.IMSURL)},
		{GroupServices, "tapms-url", "base `URL` of the tenants' service, or none", address(&c.TAPMSURL), nil, checkURLOrNone(&c.TAPMSURL)},
		{GroupServices, "s3-protocol", "`protocol` of S3, http or https", text(&c.S3Protocol), []string{"S3_PROTOCOL"},
			oneOf(&c.S3Protocol, "http", "https")},
		{GroupServices, "s3-gateway", "`host` of S3, with a port if it is not the protocol's", address(&c.S3Gateway), []string{"S3_GATEWAY"},
			c.checkGateway},
		{GroupServices, "s3-access-key", "access `key` of S3", secret(&c.S3AccessKey), []string{"S3_ACCESS_KEY"}, c.checkAccessKey},
		{GroupServices, "s3-secret-key", "secret `key` of S3; better in the environment or a file, since others can see arguments",
			secret(&c.S3SecretKey), []string{"S3_SECRET_KEY"}, c.checkSecretKey},
		{GroupServices, "s3-region", "`region` that S3 wants to see in signatures", text(&c.S3Region), nil, printable(&c.S3Region)},
		{GroupServices, "tenant-cache", "`time` that the API goes on using what it was told about a tenant's nodes, up to 10s; 0s asks each time",
			duration(&c.TenantCache), nil, within(&c.TenantCache, 0, tapms.MaxTTL)},
		{GroupServices, "token-file", "`file` that holds the bearer token for the services", text(&c.TokenFile), nil, printable(&c.TokenFile)},
		{GroupServices, "ca-file", "PEM `file` of certificates to trust beside the system's", text(&c.CAFile), nil, readable(&c.CAFile)},
		{GroupServices, "insecure-skip-verify", "accept any certificate of the services", boolean(&c.InsecureSkipVerify), nil, nil},
	}
}

func (c *Config) siteSettings() []*setting {
	return []*setting{
		{GroupSimulate, "simulate", "use a simulated site with this `number` of nodes in place of the real one; 0 does not",
			integer(&c.Simulate), nil, within(&c.Simulate, 0, maxNodes)},
		{GroupSite, "time-scale", "`factor` of all times of the simulated site, above 0 and at most 1", number(&c.TimeScale), nil, c.checkTimeScale},
		{GroupSite, "seed", "`number` from which all random choices of the simulated site follow", natural(&c.Seed), nil, nil},
		{GroupSite, "faults", "`share` of simulated nodes that are broken: none, some or many", faults(&c.Faults), nil, nil},
		{GroupNodes, "nodes", "`number` of simulated nodes", integer(&c.Nodes), nil, within(&c.Nodes, 1, maxNodes)},
		{GroupSiteServer, "site-listen", "`address` of the first simulated service; the others get the ports after it, port 0 is any free ones",
			text(&c.SiteListen), nil, c.checkSiteListen},
		{GroupSiteServer, "report-url", "base `URL` of the BOS that simulated nodes report to", address(&c.ReportURL), nil, checkURL(&c.ReportURL)},
		{GroupSiteServer, "report-token-file", "`file` with the bearer token of an admin, with which all simulated nodes report",
			text(&c.Report.TokenFile), nil, readable(&c.Report.TokenFile)},
		{GroupSiteServer, "report-ca-file", "PEM `file` of the CA of that BOS, in place of the system's",
			text(&c.Report.CAFile), nil, readable(&c.Report.CAFile)},
		{GroupSiteServer, "report-cert-file", "PEM `file` of the certificate of an admin, with which all simulated nodes report",
			text(&c.Report.CertFile), nil, together(&c.Report.CertFile, &c.Report.KeyFile, "report-key-file")},
		{GroupSiteServer, "report-key-file", "PEM `file` of the key of that certificate",
			text(&c.Report.KeyFile), nil, together(&c.Report.KeyFile, &c.Report.CertFile, "report-cert-file")},
		{GroupDemo, "output", "`format` of the result, text or json", text(&c.Output), nil, oneOf(&c.Output, FormatText, FormatJSON)},
		{GroupDemo, "log-file", "`file` that gets the log of everything; without it nothing is logged", text(&c.LogFile), nil, printable(&c.LogFile)},
		{GroupDemo, "keep", "serve on after the demonstration", boolean(&c.Keep), nil, nil},
	}
}
