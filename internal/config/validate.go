// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bos/internal/decide"
	"bos/internal/sim"
)

// The ranges of settings.
const (
	minTimeout = 10 * time.Millisecond
	maxTimeout = 24 * time.Hour
	minHeader  = 8 << 10
	maxHeader  = 64 << 20
	maxNodes   = sim.MaxNodes
	maxPort    = 65535
)

// Validate reports everything that is wrong with the settings that the command
// uses, joined. Each fault names the setting, how it can be set, and where its
// value is from; secrets are not shown.
func (c *Config) Validate() error {
	var faults []error
	for _, s := range c.settings() {
		if s.check == nil || !c.uses(s.group) || c.unserved(s.group) {
			continue
		}
		if err := s.check(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w (--%s or %s; now from %s)",
				s.name, err, s.name, strings.Join(s.env(), " or "), c.source(s.name)))
		}
	}
	return errors.Join(faults...)
}

// unserved reports whether settings are about a server that the process does not
// have: what is wrong with the files of others' keeps no operator from working.
func (c *Config) unserved(g Group) bool {
	server := g == GroupHTTP || g == GroupAuth || g == GroupLimits
	return server && len(c.groups) > 0 && !c.uses(GroupListen) && c.MetricsListen == ""
}

// Loopback reports whether only this host is listened on.
func (c *Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && isLoopback(host)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func (c *Config) checkListen() error {
	if _, err := checkAddress(c.Listen); err != nil {
		return err
	}
	if c.uses(GroupAuth) && c.Auth == "" && !c.Loopback() {
		return fmt.Errorf("%q can be reached from other hosts, and everybody there could command all nodes; "+
			"say --auth none (BOS_AUTH) if that is meant, jwt or mtls if not, or listen on this host only, such as 127.0.0.1:9000", c.Listen)
	}
	return nil
}

func (c *Config) checkMetricsListen() error {
	if c.MetricsListen == "" {
		return nil
	}
	if _, err := checkAddress(c.MetricsListen); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.MetricsListen)
	if err != nil {
		return fmt.Errorf("%.100q is not host:port", c.MetricsListen)
	}
	if c.Auth == "" && !c.Access.OpenMetrics && !isLoopback(host) {
		return fmt.Errorf("%q can be reached from other hosts, and metrics name sessions and tenants; "+
			"say --auth-open-metrics (BOS_AUTH_OPEN_METRICS) if that is meant, --auth jwt or mtls if not, or listen on this host only, such as 127.0.0.1:9001",
			c.MetricsListen)
	}
	return nil
}

func (c *Config) checkSiteListen() error {
	port, err := checkAddress(c.SiteListen)
	if last := port + len(sim.Services()) - 1; err == nil && port != 0 && last > maxPort {
		return fmt.Errorf("the services would need the ports %d to %d; there are %d", port, last, maxPort)
	}
	return err
}

func (c *Config) checkPrefix() error {
	if c.Prefix == "" {
		return errors.New("it needs a path such as /apis/bos")
	}
	return checkPath(&c.Prefix)()
}

func (c *Config) checkDataDir() error {
	if c.DataDir == "" && len(c.EtcdEndpoints) == 0 {
		return errors.New("it needs a folder, since there are no etcd-endpoints")
	}
	return printable(&c.DataDir)()
}

func (c *Config) checkEndpoints() error {
	if len(c.EtcdEndpoints) == 0 && !c.uses(GroupEmbedded) {
		return errors.New("it is needed; this command has no store of its own")
	}
	encrypted := c.EtcdCAFile != "" || c.EtcdCertFile != ""
	var faults []string
	for _, endpoint := range c.EtcdEndpoints {
		if err := checkHost(endpoint, true); err != nil {
			faults = append(faults, err.Error())
		} else if encrypted && strings.HasPrefix(endpoint, "http:") {
			// The client would drop the encryption without a word.
			faults = append(faults, fmt.Sprintf("%.100q is not encrypted, but there are certificates", endpoint))
		}
	}
	return joined(faults)
}

func (c *Config) checkCert() error {
	if c.EtcdCertFile == "" && c.EtcdKeyFile != "" {
		return errors.New("it is needed with etcd-key-file")
	}
	return readable(&c.EtcdCertFile)()
}

func (c *Config) checkKey() error {
	if c.EtcdKeyFile == "" && c.EtcdCertFile != "" {
		return errors.New("it is needed with etcd-cert-file")
	}
	return readable(&c.EtcdKeyFile)()
}

func (c *Config) checkUsername() error {
	if c.EtcdUsername == "" && (c.EtcdPassword != "" || c.EtcdPasswordFile != "") {
		return errors.New("it is needed with a password")
	}
	return printable(&c.EtcdUsername)()
}

func (c *Config) checkPassword() error {
	if c.EtcdPassword != "" && c.EtcdPasswordFile != "" {
		return errors.New("there is an etcd-password-file too; only one of them can be right")
	}
	if c.EtcdUsername != "" && c.EtcdPassword == "" && c.EtcdPasswordFile == "" {
		return errors.New("it, or etcd-password-file, is needed with etcd-username")
	}
	return plain(c.EtcdPassword)
}

func (c *Config) checkOperators() error {
	if len(c.Operators) == 0 {
		return fmt.Errorf("it needs all, none, or some of %s", strings.Join(decide.Roles(), ", "))
	}
	var faults []string
	seen := map[string]bool{}
	for _, name := range c.Operators {
		switch {
		case name == All || name == None:
			if len(c.Operators) > 1 {
				faults = append(faults, fmt.Sprintf("%s must stand alone", name))
			}
		case !slices.Contains(decide.Roles(), name):
			faults = append(faults, fmt.Sprintf("%.100q is no operator; there are %s", name, strings.Join(decide.Roles(), ", ")))
		case seen[name]:
			faults = append(faults, fmt.Sprintf("%s is named twice", name))
		}
		seen[name] = true
	}
	return joined(faults)
}

func (c *Config) checkGateway() error {
	if c.S3Gateway == "" {
		return errors.New("it needs a host")
	}
	return checkHost(c.S3Gateway, false)
}

func (c *Config) checkAccessKey() error {
	if c.S3AccessKey == "" && c.S3SecretKey != "" {
		return errors.New("it is needed with s3-secret-key")
	}
	return plain(c.S3AccessKey)
}

func (c *Config) checkSecretKey() error {
	if c.S3SecretKey == "" && c.S3AccessKey != "" {
		return errors.New("it is needed with s3-access-key")
	}
	return plain(c.S3SecretKey)
}

func (c *Config) checkTimeScale() error {
	// So written, no comparison with what is not a number is true.
	if c.TimeScale > 0 && c.TimeScale <= 1 {
		return nil
	}
	return fmt.Errorf("it must be above 0 and at most 1, not %v", c.TimeScale)
}
