// SPDX-License-Identifier: MIT

// Package tapms is the client of the Tenant and Partition Management System:
// which nodes a tenant has.
package tapms

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

// Client talks to one TAPMS. It is safe for concurrent use.
type Client struct {
	svc *call.Service
}

// New makes a client of a service whose base URL ends in /v1alpha3.
func New(svc *call.Service) *Client { return &Client{svc: svc} }

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// tenant is the part of the tenant's Kubernetes object that counts: what it
// has, not what it is to have. While a tenant is being set up, anything of it
// may be missing.
type tenant struct {
	Status struct {
		TenantResources []struct {
			Xnames []string `json:"xnames"`
		} `json:"tenantresources"`
	} `json:"status"`
}

// Tenant returns the nodes of a tenant in normal form, sorted, once each; none
// if it has none (yet). The error has [bos.CodeNotFound] if there is no such
// tenant.
func (c *Client) Tenant(ctx context.Context, name string) ([]string, error) {
	segment, err := call.Segment(name)
	if err != nil {
		return nil, noSuchTenant(name, err)
	}
	var out tenant
	_, err = c.svc.Do(ctx, call.Request{
		Operation: "get-tenant",
		Method:    http.MethodGet,
		Path:      "/tenants/" + segment,
	}, &out)
	if call.StatusOf(err) == http.StatusNotFound {
		return nil, noSuchTenant(name, err)
	}
	if err != nil {
		return nil, err
	}
	xnames := []string{}
	for _, resource := range out.Status.TenantResources {
		for _, xname := range resource.Xnames {
			if xname != "" {
				xnames = append(xnames, call.Canonical(xname))
			}
		}
	}
	slices.Sort(xnames)
	return slices.Compact(xnames), nil
}

func noSuchTenant(name string, cause error) error {
	return &bos.Error{
		Code:    bos.CodeNotFound,
		Message: fmt.Sprintf("there is no tenant '%s'", name),
		Err:     cause,
	}
}
