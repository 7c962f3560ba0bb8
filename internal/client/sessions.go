// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

const (
	sessionsPath  = "/v2/sessions"
	templatesPath = "/v2/sessiontemplates"
)

// Sessions lists the sessions that pass the filters min_age, max_age and
// status.
func (c *Client) Sessions(ctx context.Context, filter url.Values) (*Stream, error) {
	return c.get(ctx, sessionsPath, filter)
}

// Session returns one session.
func (c *Client) Session(ctx context.Context, name string) (json.RawMessage, error) {
	path, err := item(sessionsPath, name)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodGet, path, nil)
}

// SessionStatus returns how far a session is.
func (c *Client) SessionStatus(ctx context.Context, name string) (json.RawMessage, error) {
	path, err := item(sessionsPath, name)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodGet, path+"/status", nil)
}

// CreateSession creates a session and returns it.
func (c *Client) CreateSession(ctx context.Context, body []byte) (json.RawMessage, error) {
	return c.document(ctx, http.MethodPost, sessionsPath, body)
}

// DeleteSession deletes a session. Its nodes are not stopped.
func (c *Client) DeleteSession(ctx context.Context, name string) error {
	path, err := item(sessionsPath, name)
	if err != nil {
		return err
	}
	return c.remove(ctx, path, nil)
}

// DeleteSessions deletes the sessions that pass the filters min_age, max_age
// and status; without status only complete ones.
func (c *Client) DeleteSessions(ctx context.Context, filter url.Values) error {
	return c.remove(ctx, sessionsPath, filter)
}

// Templates lists the session templates.
func (c *Client) Templates(ctx context.Context) (*Stream, error) {
	return c.get(ctx, templatesPath, nil)
}

// Template returns one session template.
func (c *Client) Template(ctx context.Context, name string) (json.RawMessage, error) {
	return c.template(ctx, http.MethodGet, name, nil)
}

// PutTemplate creates or replaces a session template and returns it.
func (c *Client) PutTemplate(ctx context.Context, name string, body []byte) (json.RawMessage, error) {
	return c.template(ctx, http.MethodPut, name, body)
}

// PatchTemplate changes a session template and returns it.
func (c *Client) PatchTemplate(ctx context.Context, name string, body []byte) (json.RawMessage, error) {
	return c.template(ctx, http.MethodPatch, name, body)
}

func (c *Client) template(ctx context.Context, method, name string, body []byte) (json.RawMessage, error) {
	path, err := item(templatesPath, name)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, method, path, body)
}

// DeleteTemplate deletes a session template.
func (c *Client) DeleteTemplate(ctx context.Context, name string) error {
	path, err := item(templatesPath, name)
	if err != nil {
		return err
	}
	return c.remove(ctx, path, nil)
}

// ValidateTemplate checks a session template. The answer is a JSON text:
// Valid, or what is wrong.
func (c *Client) ValidateTemplate(ctx context.Context, name string) (json.RawMessage, error) {
	path, err := item("/v2/sessiontemplatesvalid", name)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodGet, path, nil)
}

// ExampleTemplate returns a session template to start from.
func (c *Client) ExampleTemplate(ctx context.Context) (json.RawMessage, error) {
	return c.document(ctx, http.MethodGet, "/v2/sessiontemplatetemplate", nil)
}
