// SPDX-License-Identifier: MIT

// Package cfs is the client of the Configuration Framework Service: what each
// node is to be configured with, and how far it is.
//
// A list of ids without ids means every component there, so none is ever sent,
// and neither is an id that a list can't carry.
package cfs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

const (
	// maxGet bounds the ids of one GET, which travel in its address.
	maxGet = 200
	// maxPatch bounds the ids of one PATCH.
	maxPatch = 1000
)

// Client talks to one CFS. It is safe for concurrent use.
type Client struct {
	svc           *call.Service
	gets, patches *call.Sizer
}

// New makes a client of a service whose base URL ends in /v3.
func New(svc *call.Service) *Client {
	return &Client{svc: svc, gets: svc.Sizer(maxGet), patches: svc.Sizer(maxPatch)}
}

// Patches returns how many nodes one change may name.
func (c *Client) Patches() *call.Sizer { return c.patches }

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// Component is what CFS knows of one node.
type Component struct {
	ID            string
	DesiredConfig string
	// ConfigurationStatus is unconfigured, pending, failed, configured, or
	// whatever else CFS says.
	ConfigurationStatus string
	Enabled             bool
	ErrorCount          int
}

// component is the record of CFS.
type component struct {
	ID                  string `json:"id"`
	DesiredConfig       string `json:"desired_config"`
	ConfigurationStatus string `json:"configuration_status"`
	Enabled             bool   `json:"enabled"`
	ErrorCount          int    `json:"error_count"`
}

// page is one answer to a list request.
type page struct {
	Components []component               `json:"components"`
	Next       map[string]jsontext.Value `json:"next"`
}

// Check implements [call.Checker].
func (p *page) Check() error {
	if p.Components == nil {
		return errors.New("no components")
	}
	return nil
}

// Components returns those of the nodes that CFS knows. If a later part of a
// long list fails, the components found so far are returned with the error.
func (c *Client) Components(ctx context.Context, ids []string) (map[string]Component, error) {
	if err := call.RefuseEmpty(c.svc.Name(), ids); err != nil {
		return nil, err
	}
	found := make(map[string]Component, len(ids))
	// CFS can't know the ids that are left out: no name has commas or blanks.
	err := c.gets.Each(ctx, call.Unique(ids, call.Listable), func(ctx context.Context, part []string) error {
		return c.pages(ctx, part, found)
	})
	return found, err
}

// pages reads all pages of one request. How long a page is, is set by CFS's
// administrator.
func (c *Client) pages(ctx context.Context, ids []string, found map[string]Component) error {
	const operation = "list-components"
	asked := make(map[string]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	list := strings.Join(ids, ",")
	query := url.Values{"ids": {list}}
	seen := map[string]bool{query.Encode(): true}
	// A page has at least one component, and there may be an empty one at the
	// end.
	for range len(ids) + 2 {
		var out page
		_, err := c.svc.Do(ctx, call.Request{
			Operation: operation,
			Method:    http.MethodGet,
			Path:      "/components",
			Query:     query,
		}, &out)
		if err != nil {
			return err
		}
		for _, item := range out.Components {
			if asked[item.ID] {
				found[item.ID] = Component(item)
			}
		}
		if out.Next == nil {
			return nil
		}
		if query, err = nextQuery(out.Next); err != nil {
			return c.svc.Garbage(operation, err)
		}
		// Whatever it says of them: without ids it would list everything.
		query.Set("ids", list)
		key := query.Encode()
		if seen[key] {
			break
		}
		seen[key] = true
	}
	return c.svc.Garbage(operation, errors.New("the pages don't end"))
}

// nextQuery makes the query for the next page from what CFS says that it is:
// the parameters of the call, with null for those that were not given.
func nextQuery(next map[string]jsontext.Value) (url.Values, error) {
	query := make(url.Values, len(next))
	for name, v := range next {
		switch v.Kind() {
		case 'n':
		case '"':
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return nil, err
			}
			query.Set(name, s)
		case 't', 'f', '0':
			// As JSON writes them: booleans in lower case, numbers as given.
			query.Set(name, v.String())
		default:
			return nil, fmt.Errorf("parameter %q of the next page is no plain value", name)
		}
	}
	return query, nil
}

// Change says what is to be changed; what is nil or empty stays as it is.
type Change struct {
	// DesiredConfig names the configuration, at most 60 characters; "" is none.
	DesiredConfig *string
	Enabled       *bool
	// ClearState makes CFS forget what it has done, so that it configures the
	// node anew. It also forgets the errors.
	ClearState bool
	// Tags are merged into those that are there; an empty value removes one.
	Tags map[string]string
}

// patch is the body of a change.
type patch struct {
	Enabled       *bool             `json:"enabled,omitzero"`
	DesiredConfig *string           `json:"desired_config,omitzero"`
	Tags          map[string]string `json:"tags,omitempty"`
	State         []struct{}        `json:"state,omitzero"`
}

// patchRequest applies a patch to those that the filters let through.
type patchRequest struct {
	Patch   patch   `json:"patch"`
	Filters filters `json:"filters"`
}

type filters struct {
	IDs string `json:"ids"`
}

// patched is the answer to a patch: the components that it was for.
type patched struct {
	ComponentIDs []string `json:"component_ids"`
}

// Check implements [call.Checker].
func (p *patched) Check() error {
	if p.ComponentIDs == nil {
		return errors.New("no component_ids")
	}
	return nil
}

// maxPatched bounds that answer: 1,000 ids.
const maxPatched = 1 << 20

// Patch changes all of the nodes that CFS knows; it ignores others. It can be
// repeated. Long lists are sent in parts of 1,000, each of which CFS may apply
// by half: after an error any of the nodes may be changed. attempt is the
// identity that travels with the request; "" is none.
//
// A change that clears the state must not be made late: it would undo what the
// node has told CFS at its boot, and nobody would tell CFS again. Others may be:
// a configuration that is not the wanted one is seen and changed again.
func (c *Client) Patch(ctx context.Context, ids []string, change Change, attempt string) error {
	const operation = "patch-components"
	if err := call.RefuseEmpty(c.svc.Name(), ids); err != nil {
		return err
	}
	for _, id := range ids {
		if !call.Listable(id) {
			return c.svc.Reject(operation, fmt.Sprintf("%q is not the id of a component", id))
		}
	}
	body := patchRequest{Patch: patch{
		Enabled: change.Enabled, DesiredConfig: change.DesiredConfig, Tags: change.Tags,
	}}
	if change.ClearState {
		body.Patch.State = []struct{}{}
	}
	if change.DesiredConfig == nil && change.Enabled == nil && !change.ClearState && len(change.Tags) == 0 {
		return bos.Errorf(bos.CodeInternal, "refusing to change nothing in %s", c.svc.Name())
	}
	for _, part := range call.Chunks(call.Unique(ids, nil), maxPatch) {
		body.Filters.IDs = strings.Join(part, ",")
		_, err := c.svc.Do(ctx, call.Request{
			Operation:  operation,
			Method:     http.MethodPatch,
			Path:       "/components",
			Body:       body,
			Write:      true,
			Idempotent: true,
			LateOK:     !change.ClearState,
			Attempt:    attempt,

			MaxResponse: maxPatched,
		}, &patched{})
		if err != nil {
			return err
		}
	}
	return nil
}
