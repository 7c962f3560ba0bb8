// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Cluster is what makes the embedded store one of several. It is not used with
// EtcdEndpoints; without Listen the store is alone.
type Cluster struct {
	// Name is what this member is called; "" is the name of the host.
	Name string
	// Listen and ClientListen are host:port, the host an address or localhost:
	// where other members reach the store, and where clients do, such as operators
	// in processes of their own and members that want to join.
	Listen, ClientListen string
	// Advertise and ClientAdvertise are host:port as others reach those; "" is
	// the same.
	Advertise, ClientAdvertise string
	// Join is where clients reach members of a running cluster, host:port; Initial
	// are all members of a new one, name=host:port. An empty store uses them, one
	// with data does not.
	Join, Initial []string
	// CAFile, CertFile and KeyFile are PEM files for TLS with members and clients,
	// who need certificates of the same CA.
	CAFile, CertFile, KeyFile string
	// Upgraded says that no process of an earlier build uses the store any more,
	// embedded or outside.
	Upgraded bool
	// Insecure lets everybody in who reaches the addresses.
	Insecure bool
}

// Snapshots is when the store is copied to files.
type Snapshots struct {
	// Dir is the folder; "" makes none.
	Dir string
	// Every is the time from one to the next, Keep how many files are kept.
	Every time.Duration
	Keep  int
}

const (
	minSnapshotEvery = time.Second
	maxSnapshotEvery = 90 * 24 * time.Hour
	maxSnapshots     = 10000
	maxEventsKeep    = 10 * 365 * 24 * time.Hour

	// The bounds of DataQuota.
	minDataQuota = 8
	maxDataQuota = 64 << 10
)

func (c *Config) embeddedSettings() []*setting {
	m := &c.Cluster
	return []*setting{
		{GroupEmbedded, "data-dir", "`folder` of the embedded store", text(&c.DataDir), nil, c.checkDataDir},
		{GroupEmbedded, "data-quota", "largest `size` of the embedded store's file in MiB; one that is full takes no writes but deletions",
			integer(&c.DataQuota), nil, within(&c.DataQuota, minDataQuota, maxDataQuota)},
		{GroupCluster, "cluster-name", "`name` of this member of the cluster, unique there; the host's if none is given",
			text(&m.Name), nil, c.checkMemberName},
		{GroupCluster, "cluster-upgraded", "every process on this store is of this build or a later one: write what earlier builds can't read",
			boolean(&m.Upgraded), nil, nil},
		{GroupCluster, "cluster-listen", "`address` where other members reach the embedded store; none leaves it alone",
			text(&m.Listen), nil, c.checkMemberListen},
		{GroupCluster, "cluster-advertise", "`address` that other members use for that, if it is another",
			text(&m.Advertise), nil, c.checkAdvertise(&m.Advertise, &m.Listen, "cluster-listen")},
		{GroupCluster, "cluster-client-listen", "`address` where clients reach the store: operators, commands, and members that want to join",
			text(&m.ClientListen), nil, c.checkClientListen},
		{GroupCluster, "cluster-client-advertise", "`address` that clients use for that, if it is another",
			text(&m.ClientAdvertise), nil, c.checkAdvertise(&m.ClientAdvertise, &m.ClientListen, "cluster-client-listen")},
		{GroupCluster, "cluster-join", "`addresses` for clients of members of a running cluster, which an empty store joins",
			list{&m.Join}, nil, c.checkJoin},
		{GroupCluster, "cluster-initial", "`members` of a new cluster, all of them, as name=host:port of cluster-listen; an empty store begins so",
			list{&m.Initial}, nil, c.checkInitial},
		{GroupCluster, "cluster-ca-file", "PEM `file` of the CA whose certificates members and clients must have",
			text(&m.CAFile), nil, c.checkClusterCA},
		{GroupCluster, "cluster-cert-file", "PEM `file` of this member's certificate, for both sides of a connection",
			text(&m.CertFile), nil, together(&m.CertFile, &m.KeyFile, "cluster-key-file")},
		{GroupCluster, "cluster-key-file", "PEM `file` of the key of that certificate",
			text(&m.KeyFile), nil, together(&m.KeyFile, &m.CertFile, "cluster-cert-file")},
		{GroupCluster, "cluster-insecure", "let everybody read and write the store who reaches these addresses",
			boolean(&m.Insecure), nil, nil},
		{GroupSnapshots, "snapshot-dir", "`folder` for copies of the store that are made from time to time; none makes none",
			text(&c.Snapshots.Dir), nil, printable(&c.Snapshots.Dir)},
		{GroupSnapshots, "snapshot-every", "`time` from one copy to the next",
			duration(&c.Snapshots.Every), nil, within(&c.Snapshots.Every, minSnapshotEvery, maxSnapshotEvery)},
		{GroupSnapshots, "snapshot-keep", "`number` of copies that are kept; older ones are deleted",
			integer(&c.Snapshots.Keep), nil, within(&c.Snapshots.Keep, 1, maxSnapshots)},
	}
}

// Clustered reports whether the embedded store is, or may become, one of
// several.
func (c *Config) Clustered() bool { return len(c.EtcdEndpoints) == 0 && c.Cluster.Listen != "" }

// MemberName returns the name of this member of the cluster.
func (c *Config) MemberName() (string, error) {
	if c.Cluster.Name != "" {
		return c.Cluster.Name, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this member after the host: %w", err)
	}
	return name, nil
}

func (c *Config) checkMemberName() error {
	if c.Cluster.Name != "" && !isHostName(c.Cluster.Name) {
		return fmt.Errorf("%.100q is not a name of letters, digits and -._", c.Cluster.Name)
	}
	return nil
}

func (c *Config) checkMemberListen() error {
	m := &c.Cluster
	if m.Listen == "" {
		if m.Advertise != "" || m.ClientListen != "" || len(m.Join)+len(m.Initial) > 0 {
			return errors.New("it is needed by the other settings of a cluster")
		}
		return nil
	}
	if len(c.EtcdEndpoints) > 0 {
		return errors.New("there are etcd-endpoints too; the store is either embedded or outside")
	}
	return c.checkStoreAddress(m.Listen)
}

func (c *Config) checkClientListen() error {
	if c.Cluster.ClientListen == "" {
		return nil
	}
	return c.checkStoreAddress(c.Cluster.ClientListen)
}

// checkStoreAddress checks where the store listens.
func (c *Config) checkStoreAddress(address string) error {
	port, err := checkAddress(address)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%.100q is not host:port", address)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		return fmt.Errorf("%.100q is not an address of this host, such as 10.1.2.3 or 0.0.0.0", host)
	}
	if port == 0 {
		return errors.New("it needs a port that others know beforehand")
	}
	if !isLoopback(host) && c.Cluster.CAFile == "" && !c.Cluster.Insecure {
		return fmt.Errorf("%q can be reached from other hosts, and everybody there could change the store; "+
			"give cluster-ca-file, cluster-cert-file and cluster-key-file, or say --cluster-insecure if that is meant", address)
	}
	return nil
}

// checkAdvertise checks the address under which others reach what listens.
func (c *Config) checkAdvertise(advertised, listened *string, name string) func() error {
	return func() error {
		address := *advertised
		if address == "" {
			address = *listened
		}
		if address == "" {
			return nil
		}
		if *listened == "" {
			return fmt.Errorf("it is of no use without %s", name)
		}
		if _, err := checkAddress(address); err != nil {
			return err
		}
		host, _, err := net.SplitHostPort(address)
		if addr, parsed := netip.ParseAddr(host); err != nil || host == "" || parsed == nil && addr.IsUnspecified() {
			return fmt.Errorf("it is needed: others can't reach this host at %.100q", address)
		}
		return nil
	}
}

func (c *Config) checkJoin() error {
	if len(c.Cluster.Join) > 0 && len(c.Cluster.Initial) > 0 {
		return errors.New("there is cluster-initial too; a store either joins a cluster or begins one")
	}
	return checkAddresses(c.Cluster.Join)
}

func (c *Config) checkInitial() error {
	addresses := make([]string, 0, len(c.Cluster.Initial))
	var faults []string
	seen := map[string]bool{}
	for _, member := range c.Cluster.Initial {
		name, address, ok := strings.Cut(member, "=")
		switch {
		case !ok || !isHostName(name):
			faults = append(faults, fmt.Sprintf("%.100q is not name=host:port", member))
			continue
		case seen[name] || seen[address]:
			faults = append(faults, fmt.Sprintf("%.100q is there twice", member))
		}
		seen[name], seen[address] = true, true
		addresses = append(addresses, address)
	}
	if err := joined(faults); err != nil {
		return err
	}
	return checkAddresses(addresses)
}

func checkAddresses(addresses []string) error {
	var faults []string
	for _, address := range addresses {
		if port, err := checkAddress(address); err != nil {
			faults = append(faults, err.Error())
		} else if port == 0 || strings.HasPrefix(address, ":") {
			faults = append(faults, fmt.Sprintf("%.100q is not where somebody else is reached", address))
		}
	}
	return joined(faults)
}

func (c *Config) checkClusterCA() error {
	if (c.Cluster.CAFile == "") != (c.Cluster.CertFile == "") {
		return errors.New("a CA and a certificate are needed together")
	}
	return readable(&c.Cluster.CAFile)()
}

// together checks a file that is needed if another one is given.
func together(file, other *string, name string) func() error {
	return func() error {
		if *file == "" && *other != "" {
			return fmt.Errorf("it is needed with %s", name)
		}
		return readable(file)()
	}
}
