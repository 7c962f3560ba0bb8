// SPDX-License-Identifier: MIT

// Package hsm is the client of the Hardware State Manager (SMD), of HPE's and
// of OpenCHAMI's flavour: which nodes there are, their roles, architectures,
// groups, partitions and locks.
//
// All ids that it returns are in normal form: lower case, no leading zeros.
package hsm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"bos/internal/upstream/call"
)

// maxQuery bounds the ids of one request. SMD answers 500 beyond 65,534 values,
// a limit of its database; 10,000 take it 65 ms.
const maxQuery = 10_000

// Client talks to one HSM. It is safe for concurrent use.
type Client struct {
	svc            *call.Service
	queries, locks *call.Sizer
}

// New makes a client of a service whose base URL ends in /hsm/v2.
func New(svc *call.Service) *Client {
	return &Client{svc: svc, queries: svc.Sizer(maxQuery), locks: svc.Sizer(maxQuery)}
}

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// Node is a component of type Node. Texts are as HSM writes them (Role
// "Compute", Arch "X86"), and "" where it says nothing.
type Node struct {
	ID      string
	Role    string
	SubRole string
	// Arch is X86, ARM, Other, UNKNOWN or "".
	Arch string
	// State follows heartbeats and hardware events, it is not the power state.
	State string
	// NID is the node id; 0 if there is none.
	NID     int
	Enabled bool
	Locked  bool
}

// LockState says what keeps others from working on a node.
type LockState struct {
	// Locked is an administrator's lock.
	Locked bool
	// Reserved is a reservation, such as PCS holds during a transition.
	Reserved bool
}

// component is the record of HSM, of which absent members were empty.
type component struct {
	ID      string
	Type    string
	Role    string
	SubRole string
	Arch    string
	State   string
	NID     int
	// Enabled is a pointer, because HSM takes nodes without it for enabled.
	Enabled  *bool
	Locked   bool
	Reserved bool
}

func (c component) node() Node {
	return Node{
		ID: call.Canonical(c.ID), Role: c.Role, SubRole: c.SubRole, Arch: c.Arch, State: c.State,
		NID: c.NID, Enabled: c.Enabled == nil || *c.Enabled, Locked: c.Locked,
	}
}

// maxID is how many characters the id of a component may have.
const maxID = 127

// isNode reports whether a record that may leave out its type is a node's. What
// can't be the id of a component is no node's id.
func (c component) isNode() bool {
	return call.Listable(c.ID) && !strings.Contains(c.ID, "/") && utf8.RuneCountInString(c.ID) <= maxID &&
		(c.Type == "" || strings.EqualFold(c.Type, "Node"))
}

// components is the answer of everything that lists components or locks.
type components struct {
	Components []component
}

// Check implements [call.Checker]. The list may be empty but not missing: an
// empty object is not HSM's way to say that there is nothing.
func (c *components) Check() error {
	if c.Components == nil {
		return errors.New("no Components")
	}
	return nil
}

// list makes a call that answers with components.
func (c *Client) list(ctx context.Context, req call.Request) ([]component, error) {
	var out components
	_, err := c.svc.Do(ctx, req, &out)
	return out.Components, err
}

// Nodes returns all nodes, in no particular order. A site of 100,000 answers
// with 16 MB.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	list, err := c.list(ctx, call.Request{
		Operation: "list-nodes",
		Method:    http.MethodGet,
		Path:      "/State/Components",
		Query:     url.Values{"type": {"Node"}},
	})
	if err != nil {
		return nil, err
	}
	nodes := make([]Node, 0, len(list))
	for _, item := range list {
		// Not every HSM knows the filter, and one that doesn't ignores it.
		if item.isNode() {
			nodes = append(nodes, item.node())
		}
	}
	return nodes, nil
}

// Query returns those of the nodes that HSM knows, by the normal form of their
// ids; with enabledOnly those that are enabled there. Ids that are no names of
// nodes are known to be unknown, and are not sent: HSM takes some words, such
// as "all", for every component. If a later part of a long list fails, the
// nodes found so far are returned with the error.
func (c *Client) Query(ctx context.Context, ids []string, enabledOnly bool) (map[string]Node, error) {
	if err := call.RefuseEmpty(c.svc.Name(), ids); err != nil {
		return nil, err
	}
	wanted := nodeIDs(ids)
	found := make(map[string]Node, len(wanted))
	err := c.queries.Each(ctx, wanted, func(ctx context.Context, part []string) error {
		list, err := c.list(ctx, call.Request{
			Operation: "query-nodes",
			Method:    http.MethodPost,
			Path:      "/State/Components/Query",
			Body:      queryBody(part, enabledOnly),
		})
		if err != nil {
			return err
		}
		asked := set(part)
		for _, item := range list {
			n := item.node()
			if asked[n.ID] && item.isNode() && (n.Enabled || !enabledOnly) {
				found[n.ID] = n
			}
		}
		return nil
	})
	return found, err
}

// query is the body of a component query. HSM wants the filter as a list of
// texts; a plain boolean is an error 500.
type query struct {
	ComponentIDs []string `json:"ComponentIDs"`
	Enabled      []string `json:"enabled,omitempty"`
}

func queryBody(ids []string, enabledOnly bool) query {
	q := query{ComponentIDs: ids}
	if enabledOnly {
		q.Enabled = []string{"True"}
	}
	return q
}

// group is a group, which has a label, or a partition, which has a name.
type group struct {
	Label   string `json:"label"`
	Name    string `json:"name"`
	Members struct {
		IDs []string `json:"ids"`
	} `json:"members"`
}

// key is what the group or partition is called.
func (g group) key() string { return g.Label + g.Name }

// groups is the answer of both lists.
type groups []group

// Check implements [call.Checker].
func (l *groups) Check() error {
	for _, g := range *l {
		if g.key() == "" {
			return errors.New("an entry without a name")
		}
	}
	return nil
}

// Groups returns the members of each group by its label, which HSM keeps in
// lower case. Groups without members are there with none. Members need not be
// nodes.
func (c *Client) Groups(ctx context.Context) (map[string][]string, error) {
	return c.members(ctx, "list-groups", "/groups")
}

// Partitions returns the members of each partition by its name (p1, p2.1).
func (c *Client) Partitions(ctx context.Context) (map[string][]string, error) {
	return c.members(ctx, "list-partitions", "/partitions")
}

func (c *Client) members(ctx context.Context, operation, path string) (map[string][]string, error) {
	var list groups
	if _, err := c.svc.Do(ctx, call.Request{Operation: operation, Method: http.MethodGet, Path: path}, &list); err != nil {
		return nil, err
	}
	out := make(map[string][]string, len(list))
	for _, g := range list {
		ids := out[g.key()]
		if ids == nil {
			ids = make([]string, 0, len(g.Members.IDs))
		}
		for _, id := range g.Members.IDs {
			ids = append(ids, call.Canonical(id))
		}
		out[g.key()] = ids
	}
	return out, nil
}

// Locked returns the ids of all nodes that an administrator has locked, each
// with true.
func (c *Client) Locked(ctx context.Context) (map[string]bool, error) {
	list, err := c.list(ctx, call.Request{
		Operation: "list-locked",
		Method:    http.MethodGet,
		Path:      "/locks/status",
		Query:     url.Values{"type": {"Node"}, "locked": {"True"}},
	})
	if err != nil && !noSuchComponent(err) {
		return nil, err
	}
	locked := make(map[string]bool, len(list))
	for _, item := range list {
		// An HSM that doesn't know the filter lists the others too.
		if item.Locked && item.ID != "" {
			locked[call.Canonical(item.ID)] = true
		}
	}
	return locked, nil
}

// Locks returns the locks and reservations of those of the nodes that HSM
// knows, by the normal form of their ids. The error is [call.ErrUnsupported]
// from an HSM without this function; [Client.Locked] is what such a one has.
func (c *Client) Locks(ctx context.Context, ids []string) (map[string]LockState, error) {
	if err := call.RefuseEmpty(c.svc.Name(), ids); err != nil {
		return nil, err
	}
	wanted := nodeIDs(ids)
	found := make(map[string]LockState, len(wanted))
	err := c.locks.Each(ctx, wanted, func(ctx context.Context, part []string) error {
		list, err := c.list(ctx, call.Request{
			Operation: "query-locks",
			Method:    http.MethodPost,
			Path:      "/locks/status",
			Body:      query{ComponentIDs: part},
		})
		switch status := call.StatusOf(err); {
		case err == nil, noSuchComponent(err):
		case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
			return fmt.Errorf("%w: %w", call.ErrUnsupported, err)
		default:
			return err
		}
		asked := set(part)
		for _, item := range list {
			if id := call.Canonical(item.ID); asked[id] {
				found[id] = LockState{Locked: item.Locked, Reserved: item.Reserved}
			}
		}
		return nil
	})
	if errors.Is(err, call.ErrUnsupported) {
		return nil, err
	}
	return found, err
}

// noSuchComponent reports whether err is how OpenCHAMI's SMD, and HPE's before
// 2.45, say that no component fits: 400 or 404 with these words.
func noSuchComponent(err error) bool {
	status := call.StatusOf(err)
	return (status == http.StatusBadRequest || status == http.StatusNotFound) &&
		strings.Contains(strings.ToLower(call.WordsOf(err)), "component not found")
}

// nodeIDs returns the normal forms of those ids that can be nodes', once each.
func nodeIDs(ids []string) []string {
	normal := make([]string, len(ids))
	for i, id := range ids {
		normal[i] = call.Canonical(id)
	}
	return call.Unique(normal, call.IsNode)
}

func set(ids []string) map[string]bool {
	m := make(map[string]bool, len(ids))
	for _, id := range ids {
		m[id] = true
	}
	return m
}
