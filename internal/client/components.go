// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const componentsPath = "/v2/components"

// maxIDs is how many characters of ids go into one query. Gateways refuse
// request lines of more than 8 KiB or so.
const maxIDs = 6000

// maxFilterIDs is how many characters of ids the filter of a bulk PATCH takes.
const maxFilterIDs = 65535

// errNoIDs keeps an empty list from being taken for everything.
var errNoIDs = errors.New("no component is named")

// Components lists the components that pass the filters, which are query
// parameters of the API.
func (c *Client) Components(ctx context.Context, filter url.Values) (*Stream, error) {
	return c.get(ctx, componentsPath, filter)
}

// ComponentsOf lists those of the named components that pass the filters. More
// ids than fit into one request are asked for in several.
func (c *Client) ComponentsOf(ctx context.Context, ids []string, filter url.Values) (*Stream, error) {
	if len(ids) == 0 {
		return nil, errNoIDs
	}
	chunks := chunk(ids)
	page := func(ids string) (*Stream, error) {
		query := maps.Clone(filter)
		if query == nil {
			query = url.Values{}
		}
		query.Set("ids", ids)
		return c.get(ctx, componentsPath, query)
	}
	first, err := page(chunks[0])
	if err != nil || len(chunks) == 1 {
		return first, err
	}
	rest := chunks[1:]
	return join(first, func() (*Stream, error) {
		if len(rest) == 0 {
			return nil, nil
		}
		ids := rest[0]
		rest = rest[1:]
		return page(ids)
	}), nil
}

// OneRequest reports whether the components of some ids come in one answer,
// so that they can be had in pages.
func OneRequest(ids []string) bool { return len(chunk(ids)) == 1 }

// chunk joins ids into texts that are short enough for a query. The ids are
// sorted if there are several, so that the whole list is.
func chunk(ids []string) []string {
	if all := strings.Join(ids, ","); len(all) <= maxIDs {
		return []string{all}
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var chunks []string
	for len(ids) > 0 {
		n, length := 0, 0
		for n < len(ids) && (n == 0 || length+1+len(ids[n]) <= maxIDs) {
			length += 1 + len(ids[n])
			n++
		}
		chunks = append(chunks, strings.Join(ids[:n], ","))
		ids = ids[n:]
	}
	return chunks
}

// ComponentsAfter lists at most count components whose ids come after one.
func (c *Client) ComponentsAfter(ctx context.Context, id string, count int) (*Stream, error) {
	query := url.Values{"page_size": {strconv.Itoa(count)}}
	if id != "" {
		query.Set("start_after_id", id)
	}
	return c.get(ctx, componentsPath, query)
}

// Component returns one component.
func (c *Client) Component(ctx context.Context, id string) (json.RawMessage, error) {
	path, err := item(componentsPath, id)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodGet, path, nil)
}

// PatchComponent changes a component and returns it.
func (c *Client) PatchComponent(ctx context.Context, id string, patch []byte) (json.RawMessage, error) {
	path, err := item(componentsPath, id)
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodPatch, path, patch)
}

// DeleteComponent deletes the record of a node.
func (c *Client) DeleteComponent(ctx context.Context, id string) error {
	path, err := item(componentsPath, id)
	if err != nil {
		return err
	}
	return c.remove(ctx, path, nil)
}

// PatchSession makes one change to all components that a session works on and
// returns them.
func (c *Client) PatchSession(ctx context.Context, session string, patch json.RawMessage) (*Stream, error) {
	return c.patchMany(ctx, nil, map[string]any{
		"patch":   patch,
		"filters": map[string]string{"session": session},
	})
}

// PatchComponents makes one change to several components and returns them.
// One that does not exist is an error and nothing is written, unless skip is
// set.
func (c *Client) PatchComponents(ctx context.Context, ids []string, patch json.RawMessage, skip bool) (*Stream, error) {
	if len(ids) == 0 {
		return nil, errNoIDs
	}
	joined := strings.Join(ids, ",")
	if !skip && len(joined) <= maxFilterIDs {
		return c.patchMany(ctx, nil, map[string]any{
			"patch":   patch,
			"filters": map[string]string{"ids": joined},
		})
	}
	// The list form has no limit, and it alone can leave ids out.
	var query url.Values
	if skip {
		query = url.Values{"skip_bad_ids": {"true"}}
	}
	list := make([]map[string]json.RawMessage, 0, len(ids))
	for _, id := range ids {
		one := map[string]json.RawMessage{}
		if err := json.Unmarshal(patch, &one); err != nil {
			return nil, err
		}
		name, err := json.Marshal(id)
		if err != nil {
			return nil, err
		}
		one["id"] = name
		list = append(list, one)
	}
	return c.patchMany(ctx, query, list)
}

func (c *Client) patchMany(ctx context.Context, query url.Values, body any) (*Stream, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c.Do(ctx, Request{Method: http.MethodPatch, Path: componentsPath, Query: query, Body: raw})
}

// ApplyStaged starts on each named node what is staged there, and returns
// which succeeded, failed and were ignored.
func (c *Client) ApplyStaged(ctx context.Context, ids []string) (json.RawMessage, error) {
	if len(ids) == 0 {
		return nil, errNoIDs
	}
	body, err := json.Marshal(map[string][]string{"xnames": ids})
	if err != nil {
		return nil, err
	}
	return c.document(ctx, http.MethodPost, "/v2/applystaged", body)
}
