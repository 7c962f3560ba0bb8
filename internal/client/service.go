// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Version returns the version of the API that the server speaks.
func (c *Client) Version(ctx context.Context) (json.RawMessage, error) {
	return c.document(ctx, http.MethodGet, "/v2/version", nil)
}

// Health returns how the service is.
func (c *Client) Health(ctx context.Context) (json.RawMessage, error) {
	return c.document(ctx, http.MethodGet, "/v2/healthz", nil)
}

// Options returns every option with the value in effect.
func (c *Client) Options(ctx context.Context) (json.RawMessage, error) {
	return c.document(ctx, http.MethodGet, "/v2/options", nil)
}

// PatchOptions changes options and returns all of them.
func (c *Client) PatchOptions(ctx context.Context, patch []byte) (json.RawMessage, error) {
	return c.document(ctx, http.MethodPatch, "/v2/options", patch)
}
