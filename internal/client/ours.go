// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// What only this project's server has. One that doesn't know of it answers
// that there is no such path: see [IsUnsupported].

// Plan returns what a session would do, without making it. The body is that of
// a session.
func (c *Client) Plan(ctx context.Context, body []byte) (json.RawMessage, error) {
	return c.document(ctx, http.MethodPost, "/v2/sessionplan", body)
}

// Outcome returns where the nodes of a session are and how it ended.
func (c *Client) Outcome(ctx context.Context, session string) (json.RawMessage, error) {
	return c.ofSession(ctx, http.MethodGet, session, "outcome")
}

// CancelSession ends a session where its nodes are, and returns its outcome.
func (c *Client) CancelSession(ctx context.Context, session string) (json.RawMessage, error) {
	return c.ofSession(ctx, http.MethodPost, session, "cancel")
}

// PauseSession keeps a session from doing more to its nodes, and returns its
// outcome so far.
func (c *Client) PauseSession(ctx context.Context, session string) (json.RawMessage, error) {
	return c.ofSession(ctx, http.MethodPost, session, "pause")
}

// ResumeSession lets a paused session go on, and returns its outcome so far.
func (c *Client) ResumeSession(ctx context.Context, session string) (json.RawMessage, error) {
	return c.ofSession(ctx, http.MethodPost, session, "resume")
}

func (c *Client) ofSession(ctx context.Context, method, session, what string) (json.RawMessage, error) {
	path, err := item(sessionsPath, session)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, method, path+"/"+what, nil)
}

// Why returns where a node is, who is awaited, and what would unstick it.
func (c *Client) Why(ctx context.Context, node string) (json.RawMessage, error) {
	path, err := item(componentsPath, node)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodGet, path+"/why", nil)
}

// Events returns a page of what has happened, the oldest first: to all, with a
// session its own, with a node its own. The query may have after and limit.
func (c *Client) Events(ctx context.Context, session, node string, query url.Values) (json.RawMessage, error) {
	path := eventsPath
	var err error
	switch {
	case session != "":
		path, err = item(sessionsPath, session)
		path += "/events"
	case node != "":
		path, err = item(componentsPath, node)
		path += "/timeline"
	}
	if err != nil {
		return nil, err
	}
	s, err := c.get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Raw()
}

// IsUnsupported reports whether an error says that the server does not have
// what was asked for, as opposed to the thing that it was asked of: its API is
// the original's, or an older one.
func IsUnsupported(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	switch p.Status {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusNotAcceptable:
		return true
	case http.StatusNotFound:
		// This is what is said of things; of paths it is "Not Found".
		return p.Title != "The resource was not found"
	}
	return false
}
