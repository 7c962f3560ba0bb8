// SPDX-License-Identifier: MIT

// Package bss is the client of the Boot Script Service: what each node boots
// next.
package bss

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

const (
	// perHost is the time that BSS is given for each host: it writes them one
	// by one, 1,000 in 1.3 s and 5,000 in 3.4 s on a quick store.
	perHost = 5 * time.Millisecond
	// margin is the time that every request is given beside.
	margin = 5 * time.Second
	// minHosts and maxHosts bound what HostsPerRequest says.
	minHosts = 50
	maxHosts = 2000
	// maxAnswer bounds the answer, which should have no body.
	maxAnswer = 64 << 10
	// script is what BSS calls the boot script among the things that nodes fetch.
	script = "bootscript"
	// tokenHeader is in every answer to a write that named hosts.
	tokenHeader = "Bss-Referral-Token"
)

// Client talks to one BSS. It is safe for concurrent use.
type Client struct {
	svc  *call.Service
	puts *call.Sizer
}

// New makes a client of a service whose base URL ends in /boot/v1.
func New(svc *call.Service) *Client { return &Client{svc: svc, puts: svc.Sizer(maxHosts)} }

// Puts returns how many hosts one request may name, as far as BSS has shown; see
// also [HostsPerRequest].
func (c *Client) Puts() *call.Sizer { return c.puts }

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// Params is what hosts boot with.
type Params struct {
	// Hosts are the xnames of nodes, in any notation. BSS would store others
	// under the name as it stands, where no node finds it.
	Hosts []string
	// Kernel and Initrd are the places of the artifacts. Kernel is needed:
	// without it BSS forgets what the hosts had.
	Kernel string
	Initrd string
	// Params are the kernel parameters, one line, with a
	// bss_referral_token=… of the caller. BSS leaves that alone, and with it
	// the request can be repeated; without it each request, also one that got
	// no answer, would give the hosts another token.
	Params string
}

// bootParameters is the body of the request.
type bootParameters struct {
	Hosts  []string `json:"hosts"`
	Params string   `json:"params"`
	Kernel string   `json:"kernel"`
	Initrd string   `json:"initrd"`
}

// PutBootParameters stores p for all its hosts with one request. It takes up to
// 5 ms a host, and is given that and 5 s more, if the service's time-out is
// shorter. BSS stores host by host and goes on when the client has gone: after
// a failure some or all hosts may have the new parameters, and they may get them
// once more when the call is over, from a copy of the request or one that timed
// out. That is without harm: they are the same, and of hosts that were given
// others meanwhile the token in their report tells what they booted with.
//
// Which token is in BSS's answer does not matter: one flavour returns tokens
// that it stores nowhere. That there is one tells the answer from those of
// others: at a path that it doesn't have, BSS itself says 200 and a greeting.
func (c *Client) PutBootParameters(ctx context.Context, p Params, attempt string) error {
	const operation = "put-bootparameters"
	if err := call.RefuseEmpty(c.svc.Name(), p.Hosts); err != nil {
		return err
	}
	if p.Kernel == "" {
		return bos.Errorf(bos.CodeInternal, "refusing boot parameters without a kernel: %s would forget those of the nodes", c.svc.Name())
	}
	if strings.ContainsAny(p.Params+p.Kernel+p.Initrd, "\r\n") {
		// A line of the boot script would end there and a new command begin.
		return c.svc.Reject(operation, "the boot parameters have more than one line")
	}
	hosts := make([]string, len(p.Hosts))
	for i, host := range p.Hosts {
		hosts[i] = call.Canonical(host)
		if !call.IsNode(hosts[i]) {
			return c.svc.Reject(operation, fmt.Sprintf("%q is not the xname of a node", host))
		}
	}
	var answer []byte
	header, err := c.svc.Do(ctx, call.Request{
		Operation:   operation,
		Method:      http.MethodPut,
		Path:        "/bootparameters",
		Body:        bootParameters{Hosts: hosts, Params: p.Params, Kernel: p.Kernel, Initrd: p.Initrd},
		Write:       true,
		Idempotent:  true,
		LateOK:      true,
		Attempt:     attempt,
		MaxResponse: maxAnswer,
		MinTimeout:  time.Duration(len(hosts))*perHost + margin,
		Redact:      []string{p.Params},
	}, &answer)
	if err == nil && header.Get(tokenHeader) == "" {
		return c.svc.Garbage(operation, errors.New("no "+tokenHeader+" in the answer: wrong base URL?"))
	}
	return err
}

// Fetched is when a node last fetched its boot script, in whole seconds. Both
// times are on BSS's own clock.
type Fetched struct {
	// At is zero if BSS has never given the node a boot script, as far as it
	// remembers. What it gives to a node that it has no parameters for is none.
	At time.Time
	// Now is what that clock shows now.
	Now time.Time
}

// fetch is an entry of BSS's history.
type fetch struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Epoch    int64  `json:"last_epoch"`
}

// ScriptFetched asks when a node last fetched its boot script. The question has
// as little time as ctx leaves it, and does not count where the health of BSS is
// judged. Of a node that never did, one flavour of BSS says that it was in 1970,
// and another nothing; that may have several entries of one node.
func (c *Client) ScriptFetched(ctx context.Context, id string) (Fetched, error) {
	const operation = "endpoint-history"
	host := call.Canonical(id)
	if !call.IsNode(host) {
		return Fetched{}, c.svc.Reject(operation, fmt.Sprintf("%q is not the xname of a node", id))
	}
	// Read as it is: a BSS without a history greets, and is well all the same.
	var answer []byte
	_, err := c.svc.Do(ctx, call.Request{
		Operation: operation, Method: http.MethodGet, Path: "/endpoint-history",
		Query: url.Values{"name": {host}, "endpoint": {script}}, MaxResponse: maxAnswer, Aside: true,
	}, &answer)
	if err != nil {
		return Fetched{}, err
	}
	var list []fetch
	if err := json.Unmarshal(answer, &list); err != nil {
		return Fetched{}, c.svc.Garbage(operation, fmt.Errorf("no history of what nodes fetch: %w", err))
	}
	now := time.Now()
	out := Fetched{Now: now}
	if own, ok := c.svc.Time(now); ok {
		out.Now = own
	}
	for _, one := range list {
		at := time.Unix(one.Epoch, 0)
		if one.Epoch > 0 && one.Name == host && one.Endpoint == script && at.After(out.At) {
			out.At = at
		}
	}
	return out, nil
}

// HostsPerRequest returns how many hosts can be stored within a time-out,
// between 50 and 2,000.
func HostsPerRequest(timeout time.Duration) int {
	return int(min(max((timeout-margin)/perHost, minHosts), maxHosts))
}
