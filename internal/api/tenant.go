// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"

	"bos/internal/bos"
)

// nodesOf returns the nodes to which a request is confined: nil without a
// tenant, which is every node. An unknown tenant is an invalid one, and without
// the word of TAPMS there is no answer.
func (s *server) nodesOf(ctx context.Context, tenant string) (bos.Set, error) {
	set, err := s.askTenant(ctx, tenant)
	if bos.IsNotFound(err) {
		return nil, &bos.Error{Code: bos.CodeInvalid, Title: titleTenant, Message: noTenant(tenant), Err: err}
	}
	return set, refusalIsOutage(err)
}

// tenantExists is for requests that need no nodes yet: they tell of an unknown
// tenant in words that don't name it.
func (s *server) tenantExists(ctx context.Context, tenant string) error {
	_, err := s.askTenant(ctx, tenant)
	if bos.IsNotFound(err) {
		return &bos.Error{Code: bos.CodeInvalid, Title: titleTenant, Message: "The provided tenant does not exist", Err: err}
	}
	return refusalIsOutage(err)
}

// nodesOfMany is nodesOf for bulk PATCH and applystaged, which tell of it in
// another way: an unknown tenant and a refusal are both a fault of the request.
func (s *server) nodesOfMany(ctx context.Context, tenant string) (bos.Set, error) {
	set, err := s.askTenant(ctx, tenant)
	if bos.IsNotFound(err) {
		return nil, &bos.Error{Code: bos.CodeInvalid, Message: noTenant(tenant), Err: err}
	}
	return set, err
}

func noTenant(tenant string) string { return "Data not found for tenant " + tenant }

// refusalIsOutage makes an outage of TAPMS's refusal: what it refuses is this
// service's question, which is no fault of the request.
func refusalIsOutage(err error) error {
	if bos.CodeOf(err) == bos.CodeInvalid {
		return &bos.Error{Code: bos.CodeUnavailable, Dependency: "tapms", Message: bos.UserText(err), Err: err}
	}
	return err
}

// askTenant asks for a tenant's nodes.
func (s *server) askTenant(ctx context.Context, tenant string) (bos.Set, error) {
	if tenant == "" {
		return nil, nil
	}
	if s.tenants == nil {
		return nil, &bos.Error{Code: bos.CodeNotFound, Message: noTenant(tenant), Err: errors.New("this site has no tenants")}
	}
	ids, err := s.tenants.Cached(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return bos.NewSet(ids...), nil
}

// mayTouch reports whether a node is within a membership.
func mayTouch(within bos.Set, id string) bool { return within == nil || within.Has(id) }
