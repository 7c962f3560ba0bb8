// SPDX-License-Identifier: MIT

// Package pcs is the client of the Power Control Service.
//
// What it says of power is as old as its last sweep over the hardware, 30 s to
// a minute as a rule, and it decides by the same old knowledge whether a node
// is in the wanted state already.
package pcs

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"bos/internal/upstream/call"
)

// maxBatch bounds the nodes of one request. PCS answers for 5,000 in 50 ms, but
// it works on the nodes of a transition one after the other.
const maxBatch = 1000

// Client talks to one PCS. It is safe for concurrent use.
type Client struct {
	svc            *call.Service
	status, starts *call.Sizer
}

// New makes a client.
func New(svc *call.Service) *Client {
	return &Client{svc: svc, status: svc.Sizer(maxBatch), starts: svc.Sizer(maxBatch)}
}

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// Time returns what PCS's own clock shows at a moment; false before its first
// answer.
func (c *Client) Time(at time.Time) (time.Time, bool) { return c.svc.Time(at) }

// Starts returns how many nodes one transition may name.
func (c *Client) Starts() *call.Sizer { return c.starts }

// The power states. A node that PCS can't see is StateUndefined, one whose BMC
// names no state is StateInvalid, one that PCS doesn't know has none.
const (
	StateOn        = "on"
	StateOff       = "off"
	StateUndefined = "undefined"
	StateInvalid   = "invalid"
	StateNone      = ""
)

// Power is what PCS knows of one node.
type Power struct {
	// State is one of the states above. Words that PCS doesn't have today are
	// reported as StateUndefined.
	State string
	// Error is what PCS says is wrong with the node, cleaned for users.
	Error string
	// Found is false if PCS doesn't know the node: it left it out of the
	// answer, its error says that it was not found, or the id can't be asked
	// for.
	Found bool
}

// PowerStatus returns the power of each node, under the id as it was given.
// Ids that are not the names of nodes in lower case are not sent, since one of
// them has the whole request refused. If a later part of a long list fails,
// the map holds what was learnt before, with the error; nodes that nothing was
// learnt of are not in it then.
func (c *Client) PowerStatus(ctx context.Context, ids []string) (map[string]Power, error) {
	if err := call.RefuseEmpty(c.svc.Name(), ids); err != nil {
		return nil, err
	}
	power := make(map[string]Power, len(ids))
	valid := call.Unique(ids, func(id string) bool {
		if call.IsNode(id) {
			return true
		}
		power[id] = Power{}
		return false
	})
	err := c.status.Each(ctx, valid, func(ctx context.Context, part []string) error {
		answer, err := c.powerStatus(ctx, part)
		if err != nil {
			return err
		}
		for _, id := range part {
			power[id] = answer[id]
		}
		return nil
	})
	return power, err
}

// powerStatus is one entry of PCS's answer.
type powerStatus struct {
	Xname      string `json:"xname"`
	PowerState string `json:"powerState"`
	Error      string `json:"error"`
}

// powerStatuses is PCS's answer. It has an entry for each node that was asked
// for, known or not.
type powerStatuses struct {
	Status []powerStatus `json:"status"`
}

// Check implements [call.Checker].
func (p *powerStatuses) Check() error {
	if p.Status == nil {
		return errors.New("no status")
	}
	return nil
}

// powerStatus asks for the nodes of one request.
func (c *Client) powerStatus(ctx context.Context, ids []string) (map[string]Power, error) {
	var out powerStatuses
	_, err := c.svc.Do(ctx, call.Request{
		Operation: "power-status",
		Method:    http.MethodPost,
		Path:      "/power-status",
		Body: struct {
			Xname []string `json:"xname"`
		}{ids},
	}, &out)
	if err != nil {
		return nil, err
	}
	answer := make(map[string]Power, len(out.Status))
	var words call.Cleaner
	for _, entry := range out.Status {
		answer[entry.Xname] = Power{
			State: powerState(entry.PowerState),
			Error: words.Clean(entry.Error),
			Found: !strings.Contains(strings.ToLower(entry.Error), "not found"),
		}
	}
	return answer, nil
}

func powerState(s string) string {
	switch s = strings.ToLower(s); s {
	case StateOn, StateOff, StateUndefined, StateInvalid, StateNone:
		return s
	default:
		return StateUndefined
	}
}
