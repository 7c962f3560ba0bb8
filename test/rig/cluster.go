// SPDX-License-Identifier: MIT

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bos/internal/sim"
)

// Cluster is three servers whose stores are members of one cluster. They reach
// each other through a network that can be cut.
type Cluster struct {
	*API
	t       testing.TB
	Members []*Process
	// Clients are where clients reach the stores.
	Clients []string
	Network *Network
}

// NewCluster starts a cluster of three around a site and waits until all of them
// are ready. Nodes of the site report to them in turn.
func NewCluster(t testing.TB, site *sim.Site, more ...string) *Cluster {
	t.Helper()
	return NewClusterOf(t, "", site, more...)
}

// NewClusterOf is NewCluster with another build of bosd; "" is that of the tests.
func NewClusterOf(t testing.TB, program string, site *sim.Site, more ...string) *Cluster {
	t.Helper()
	const size = 3
	c := &Cluster{t: t, Network: newNetwork(t, size)}
	dir := t.TempDir()
	var listen, peers, initial []string
	for i := range size {
		listen = append(listen, Address(t))
		peers = append(peers, Address(t))
		c.Clients = append(c.Clients, Address(t))
		c.Network.serve(i, peers[i])
		initial = append(initial, fmt.Sprintf("m%d=%s", i, c.Network.Address(i)))
	}
	args, environ := SiteArgs(site)
	for i := range size {
		c.Members = append(c.Members, New(t, fmt.Sprintf("m%d", i), environ, append(append([]string{
			"serve", "--listen", listen[i], "--data-dir", filepath.Join(dir, fmt.Sprint(i)),
			"--cluster-name", fmt.Sprintf("m%d", i), "--cluster-listen", peers[i], "--cluster-advertise", c.Network.Address(i),
			"--cluster-client-listen", c.Clients[i], "--cluster-initial", strings.Join(initial, ","),
		}, args...), more...)...))
		c.Members[i].Use(program)
		c.Members[i].Start()
	}
	c.API = NewAPI(t, listen...)
	for i := range size {
		c.Ready(i)
	}
	c.Network.learn(c.members())
	if site != nil {
		site.SetBOS("http://bos", reportClient(c.API))
	}
	return c
}

// Member is a member as bosd cluster list shows it.
type Member struct {
	ID, Name, Role, State string
}

func (c *Cluster) members() []Member {
	c.t.Helper()
	var members []Member
	out := Command(c.t, nil, "cluster", "list", "--output", "json", "--etcd-endpoints", strings.Join(c.Clients, ","))
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		c.t.Fatal(err)
	}
	return members
}

// errNoLeader says that no member leads the others.
var errNoLeader = errors.New("there is no leader")

// Leader returns the number of the member through which all writes go.
func (c *Cluster) Leader() int {
	c.t.Helper()
	leader := -1
	c.Until(30*time.Second, "there is a leader", func() error {
		for _, m := range c.members() {
			if m.Role == "leader" {
				if _, err := fmt.Sscanf(m.Name, "m%d", &leader); err != nil {
					return err
				}
				return nil
			}
		}
		return errNoLeader
	})
	return leader
}

// Operating returns the number of the member that logged last that it leads the
// operator of a name.
func (c *Cluster) Operating(operator string) (member int, since time.Time) {
	member = -1
	for i, p := range c.Members {
		for _, line := range strings.Split(p.Log(), "\n") {
			if !strings.Contains(line, "msg=leading ") || !strings.Contains(line, "operator="+operator+" ") {
				continue
			}
			if at, err := time.Parse("2006-01-02T15:04:05.000Z07:00", field(line, "time")); err == nil && at.After(since) {
				member, since = i, at
			}
		}
	}
	return member, since
}

// field returns a field of a line of a log.
func field(line, name string) string {
	_, rest, _ := strings.Cut(line, name+"=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}

// Context is one that ends with the test, after a time.
func (c *Cluster) Context(within time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	c.t.Cleanup(cancel)
	return ctx
}

// DataDir is where a member has its data.
func (p *Process) DataDir() string {
	for i, arg := range p.args {
		if arg == "--data-dir" {
			return p.args[i+1]
		}
	}
	return ""
}

// Args returns the arguments of the process; they may be changed before a start.
func (p *Process) Args() *[]string { return &p.args }

// Wipe removes the data of a process that does not run.
func (p *Process) Wipe() {
	if err := os.RemoveAll(p.DataDir()); err != nil {
		p.t.Fatal(err)
	}
}
