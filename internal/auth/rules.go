// SPDX-License-Identifier: MIT

package auth

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The prefixes of names that are no SPIFFE IDs; see [Identity.Name].
const (
	prefixSubject = "sub:"
	prefixCommon  = "cn:"
	prefixSPIFFE  = "spiffe://"
)

// maxName bounds a caller's name in bytes, as SPIFFE does.
const maxName = 2048

// The placeholders of a pattern.
const (
	placeNode   = "{node}"
	placeTenant = "{tenant}"
)

// DefaultRules gives SPIRE's workload of a node's state reporter the role of
// that node: spiffe://DOMAIN/TYPE/XNAME/workload/bos-reporter.
func DefaultRules() []string {
	return []string{prefixSPIFFE + "*/*/" + placeNode + "/workload/bos-reporter=" + string(RoleNode)}
}

// Rule gives a role to callers by their names.
type Rule struct {
	pattern *regexp.Regexp
	role    Role
	// tenant is set for a rule of RoleTenantAdmin whose pattern has no place for
	// it.
	tenant string
}

// ParseRules reads rules of the form PATTERN=ROLE. A pattern is a caller's name
// (a SPIFFE ID, sub:SUBJECT or cn:COMMON-NAME) in which * stands for any text
// without a slash, {node} for the component that RoleNode is for, and {tenant}
// for the tenant of RoleTenantAdmin, which may be given as
// PATTERN=tenant-admin:TENANT instead.
func ParseRules(texts []string) ([]Rule, error) {
	rules := make([]Rule, 0, len(texts))
	for _, text := range texts {
		rule, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("%.200q: %w", text, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return Rule{}, errors.New("it is not PATTERN=ROLE")
	}
	pattern := text[:at]
	name, tenant, hasTenant := strings.Cut(text[at+1:], ":")
	rule := Rule{role: Role(name), tenant: tenant}
	if err := checkRole(rule.role); err != nil {
		return Rule{}, err
	}
	prefixes := []string{prefixSPIFFE, prefixSubject, prefixCommon}
	if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(pattern, p) && pattern != p }) {
		return Rule{}, fmt.Errorf("its pattern must begin with one of %s and go on", strings.Join(prefixes, ", "))
	}
	for place, role := range map[string]Role{placeNode: RoleNode, placeTenant: RoleTenantAdmin} {
		if n := strings.Count(pattern, place); n > 1 || n == 1 && rule.role != role {
			return Rule{}, fmt.Errorf("%s may be there once, for the role %s", place, role)
		}
	}
	switch {
	case rule.role == RoleNode && !strings.Contains(pattern, placeNode):
		return Rule{}, fmt.Errorf("the role %s needs %s in the pattern", RoleNode, placeNode)
	case hasTenant && (rule.role != RoleTenantAdmin || tenant == ""):
		return Rule{}, fmt.Errorf("only the role %s has a tenant", RoleTenantAdmin)
	case rule.role == RoleTenantAdmin && hasTenant == strings.Contains(pattern, placeTenant):
		return Rule{}, fmt.Errorf("the role %s needs either %s in the pattern or :TENANT at the end", RoleTenantAdmin, placeTenant)
	}
	var err error
	rule.pattern, err = regexp.Compile(expression(pattern))
	return rule, err
}

// expression writes a pattern as a regular expression for whole names.
func expression(pattern string) string {
	const segment = `[^/]+`
	text := regexp.QuoteMeta(pattern)
	for place, expr := range map[string]string{
		"*": segment, placeNode: `(?P<node>` + segment + `)`, placeTenant: `(?P<tenant>` + segment + `)`,
	} {
		text = strings.ReplaceAll(text, regexp.QuoteMeta(place), expr)
	}
	return `^` + text + `$`
}

// give adds what a rule gives to a name.
func (r Rule) give(name string, to *grants) {
	found := r.pattern.FindStringSubmatch(name)
	if found == nil {
		return
	}
	to.add(r.role)
	if r.tenant != "" {
		to.tenants = append(to.tenants, r.tenant)
	}
	for i, group := range r.pattern.SubexpNames() {
		switch group {
		case "node":
			to.nodes = append(to.nodes, found[i])
		case "tenant":
			to.tenants = append(to.tenants, found[i])
		}
	}
}

func checkRole(role Role) error {
	if slices.Contains(Roles(), role) {
		return nil
	}
	return fmt.Errorf("%.100q is no role; there are %s", string(role), (&Identity{Roles: Roles()}).RoleNames())
}

// ParseRoles reads pairs VALUE=ROLE: what the claim of the roles says, and the
// role that it means.
func ParseRoles(texts []string) (map[string]Role, error) {
	roles := map[string]Role{}
	for _, text := range texts {
		at := strings.LastIndexByte(text, '=')
		if at <= 0 {
			return nil, fmt.Errorf("%.100q is not VALUE=ROLE", text)
		}
		value, role := text[:at], Role(text[at+1:])
		if err := checkRole(role); err != nil {
			return nil, err
		}
		if _, twice := roles[value]; twice {
			return nil, fmt.Errorf("%.100q is there twice", value)
		}
		roles[value] = role
	}
	return roles, nil
}

// DefaultRoles are the roles that a claim gives by their own names.
func DefaultRoles() []string {
	pairs := make([]string, 0, len(Roles()))
	for _, role := range Roles() {
		pairs = append(pairs, string(role)+"="+string(role))
	}
	return pairs
}

// isSPIFFE reports whether a text is a SPIFFE ID with a path, as the SPIFFE
// standard writes it.
func isSPIFFE(id string) bool {
	rest, ok := strings.CutPrefix(id, prefixSPIFFE)
	if !ok || len(id) > maxName {
		return false
	}
	segments := strings.Split(rest, "/")
	for i, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for _, c := range []byte(segment) {
			lower := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
			if !lower && (i == 0 || c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return len(segments) > 1
}
