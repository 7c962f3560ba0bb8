// SPDX-License-Identifier: MIT

package auth

import (
	"encoding/json"
	"slices"
	"strings"
)

// mostValues bounds how many values of one claim are looked at.
const mostValues = 1024

// claims are the members of a token that was verified.
type claims map[string]json.RawMessage

// find returns a claim by its name. A name with dots that is not there as it
// stands is a path: resource_access.shasta.roles. No name finds nothing.
func (c claims) find(name string) json.RawMessage {
	if value, ok := c[name]; ok || name == "" {
		return value
	}
	first, rest, deeper := strings.Cut(name, ".")
	if !deeper {
		return nil
	}
	var inner claims
	if json.Unmarshal(c[first], &inner) != nil {
		return nil
	}
	return inner.find(rest)
}

// text returns a claim that is a text, "" for any other.
func (c claims) text(name string) string {
	var text string
	if json.Unmarshal(c.find(name), &text) != nil {
		return ""
	}
	return text
}

// values returns the texts of a claim that is a list of them, or one text with
// blanks between its words, as the claim scope is.
func (c claims) values(name string) []string {
	raw := c.find(name)
	var list []any
	if json.Unmarshal(raw, &list) == nil {
		var out []string
		for _, item := range list[:min(len(list), mostValues)] {
			if text, ok := item.(string); ok && text != "" {
				out = append(out, text)
			}
		}
		return out
	}
	words := strings.Fields(c.text(name))
	return words[:min(len(words), mostValues)]
}

// ClaimNames say in which claims of a token what is found. A name may be a path
// with dots; an empty one looks for nothing.
type ClaimNames struct {
	// Roles holds values that [ParseRoles] gives a meaning.
	Roles string
	// Tenants holds the tenants of RoleTenantAdmin. With TenantSuffix only values
	// that end in it count, without it; a slash in front, which Keycloak puts
	// before groups, is no part of them.
	Tenants, TenantSuffix string
	// Node holds the component of RoleNode.
	Node string
	// Display holds the name that people know.
	Display string
}

// give adds what a token's claims give.
func (n ClaimNames) give(c claims, roles map[string]Role, to *grants) {
	for _, value := range c.values(n.Roles) {
		if role, ok := roles[value]; ok {
			to.add(role)
		}
	}
	for _, value := range c.values(n.Tenants) {
		tenant, ok := strings.CutSuffix(strings.TrimPrefix(value, "/"), n.TenantSuffix)
		if ok && tenant != "" {
			to.tenants = append(to.tenants, tenant)
		}
	}
	if node := c.text(n.Node); node != "" {
		to.nodes = append(to.nodes, node)
	}
}

// wrongType reports whether a token says of itself that it is not for requests:
// Keycloak's refresh and ID tokens do.
func (c claims) wrongType() bool {
	return slices.Contains([]string{"id", "refresh", "offline", "logout"}, strings.ToLower(c.text("typ")))
}
