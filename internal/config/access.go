// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"bos/internal/auth"
)

// The kinds of authentication beside None; both may be there.
const (
	AuthJWT  = "jwt"
	AuthMTLS = "mtls"
)

// AnyAudience takes tokens for whatever audience.
const AnyAudience = "any"

// AuditStdout writes the audit trail to the standard output.
const AuditStdout = "stdout"

// Access says who may use the API, and how they prove who they are.
type Access struct {
	// Issuers of tokens, and the key set of each: a URL or a file.
	Issuers, Keys []string
	// Audiences are those of which a token must name one, or AnyAudience alone.
	Audiences []string
	// Skew is how far the clocks of issuers may be from ours.
	Skew time.Duration
	// KeysRefresh and KeysMaxAge say how long fetched keys are used.
	KeysRefresh, KeysMaxAge time.Duration
	// The claims of tokens; a name may be a path with dots, "" is none.
	RoleClaim, TenantClaim, TenantSuffix, NodeClaim, NameClaim string
	// Roles are pairs VALUE=ROLE, Names pairs PATTERN=ROLE; see package auth.
	Roles, Names []string
	// OpenMetrics shows the metrics to everybody.
	OpenMetrics bool
}

// Limits bound what clients can take of the API.
type Limits struct {
	// MaxConnections and MaxRequests are those at the same moment, MaxStreams the
	// requests among them that follow what happens.
	MaxConnections, MaxRequests, MaxStreams int
	// MaxHeadersBytes and MaxBodiesBytes bound the headers and bodies of all
	// requests together.
	MaxHeadersBytes, MaxBodiesBytes int
	// Rate is requests a second for each client, 0 without a bound; RateBurst is
	// how many may come at once, RateClients how many clients are remembered.
	Rate                   float64
	RateBurst, RateClients int
	// MaxBody are sizes: SIZE for all operations, operationId=SIZE for one.
	MaxBody []string
	// MaxItems bounds the items of a list in a body.
	MaxItems int
	// RequestTimeout are times: TIME for all operations that write or ask
	// services, operationId=TIME for one.
	RequestTimeout []string
}

func defaultAccess() Access {
	return Access{
		Audiences: []string{"shasta"},
		Skew:      time.Minute, KeysRefresh: 5 * time.Minute, KeysMaxAge: 12 * time.Hour,
		RoleClaim: "resource_access.shasta.roles", TenantClaim: "groups", TenantSuffix: "-tenant-admin",
		NodeClaim: "xname", NameClaim: "preferred_username",
		Roles: auth.DefaultRoles(), Names: auth.DefaultRules(),
	}
}

func defaultLimits() Limits {
	return Limits{
		// Nodes report by the ten thousand at the same moment, each on a
		// connection of its own, or all through one gateway.
		MaxConnections: 50_000, MaxRequests: 20_000, MaxStreams: 256,
		MaxHeadersBytes: 256 << 20, MaxBodiesBytes: 512 << 20,
		Rate: 500, RateBurst: 50_000, RateClients: 65_536,
		// More than the nodes of the largest site that is simulated.
		MaxItems: 1 << 19,
		// Below the time of an answer, so that who waited in vain is told why.
		RequestTimeout: []string{"4m"},
	}
}

func (c *Config) accessSettings() []*setting {
	a := &c.Access
	return []*setting{
		{GroupAuth, "auth-issuers", "`names` of those whose bearer tokens are taken (claim iss)", list{&a.Issuers}, nil, c.checkIssuers},
		{GroupAuth, "auth-keys", "`places` of the issuers' keys (JWKS), in the same order: URLs or files", list{&a.Keys}, nil, c.checkKeys},
		{GroupAuth, "auth-audiences", "`names` of which a token must have one (claim aud); any takes every token of the issuers",
			list{&a.Audiences}, nil, c.checkAudiences},
		{GroupAuth, "auth-clock-skew", "`time` by which the clocks of issuers may be wrong", duration(&a.Skew), nil, within(&a.Skew, 0, maxSkew)},
		{GroupAuth, "auth-keys-refresh", "`age` at which keys from a URL are fetched anew", duration(&a.KeysRefresh), nil, within(&a.KeysRefresh, time.Second, maxTimeout)},
		{GroupAuth, "auth-keys-max-age", "`age` up to which keys are used that can't be fetched anew", duration(&a.KeysMaxAge), nil, c.checkKeysMaxAge},
		{GroupAuth, "auth-role-claim", "`claim` that holds the roles; dots lead into objects", text(&a.RoleClaim), nil, printable(&a.RoleClaim)},
		{GroupAuth, "auth-roles", "`pairs` VALUE=ROLE: what that claim says, and the role that it means (admin, wlm, tenant-admin, node, monitor)",
			list{&a.Roles}, nil, func() error { _, err := auth.ParseRoles(a.Roles); return err }},
		{GroupAuth, "auth-tenant-claim", "`claim` that holds the tenants of a tenant-admin", text(&a.TenantClaim), nil, printable(&a.TenantClaim)},
		{GroupAuth, "auth-tenant-suffix", "`text` that ends what that claim says, and is no part of the tenant's name; values without it are no tenants",
			text(&a.TenantSuffix), nil, printable(&a.TenantSuffix)},
		{GroupAuth, "auth-node-claim", "`claim` that holds the component of a node", text(&a.NodeClaim), nil, printable(&a.NodeClaim)},
		{GroupAuth, "auth-name-claim", "`claim` that holds the name that people know, for the audit trail", text(&a.NameClaim), nil, printable(&a.NameClaim)},
		{GroupAuth, "auth-names", "`pairs` PATTERN=ROLE for SPIFFE IDs, sub:SUBJECT and cn:COMMON-NAME; * is any text without a slash, {node} and {tenant} are taken from there",
			list{&a.Names}, nil, func() error { _, err := auth.ParseRules(a.Names); return err }},
		{GroupAuth, "auth-open-metrics", "show /metrics to everybody, not only to the roles admin and monitor", boolean(&a.OpenMetrics), nil, nil},
	}
}

func (c *Config) limitSettings() []*setting {
	l := &c.Limits
	return []*setting{
		{GroupLimits, "max-connections", "`number` of connections at the same moment", integer(&l.MaxConnections), nil, within(&l.MaxConnections, 1, 1<<20)},
		{GroupLimits, "max-requests", "`number` of requests at the same moment", integer(&l.MaxRequests), nil, within(&l.MaxRequests, 1, 1<<20)},
		{GroupLimits, "max-streams", "`number` of streams of events at the same moment", integer(&l.MaxStreams), nil, within(&l.MaxStreams, 1, 1<<16)},
		{GroupLimits, "max-headers-bytes", "largest `size` of the headers of all requests together", integer(&l.MaxHeadersBytes), nil,
			within(&l.MaxHeadersBytes, 1<<20, 1<<34)},
		{GroupLimits, "max-bodies-bytes", "largest `size` of the bodies of all requests together", integer(&l.MaxBodiesBytes), nil,
			within(&l.MaxBodiesBytes, 1<<20, 1<<34)},
		{GroupLimits, "max-body", "largest `sizes` of bodies: SIZE for all operations, operationId=SIZE for one; in bytes or with KiB or MiB; the API's document says the others",
			list{&l.MaxBody}, nil, func() error { _, _, err := l.BodySizes(); return err }},
		{GroupLimits, "max-items", "largest `number` of items of a list in a body", integer(&l.MaxItems), nil, within(&l.MaxItems, 1, 1<<22)},
		{GroupLimits, "rate", "`requests` a second that one client may make on end; clients are told apart by who they are, else by address; 0 is no limit",
			number(&l.Rate), nil, l.checkRate},
		{GroupLimits, "rate-burst", "`number` of requests that one client may make at once", integer(&l.RateBurst), nil, within(&l.RateBurst, 1, 1<<30)},
		{GroupLimits, "rate-clients", "`number` of clients that are remembered for the rate", integer(&l.RateClients), nil, within(&l.RateClients, 1, 1<<22)},
		{GroupLimits, "request-timeout", "`times` that the work on a request may take: TIME for all that write or ask services, operationId=TIME for one; 0 is no limit",
			list{&l.RequestTimeout}, nil, func() error { _, _, err := l.Timeouts(); return err }},
	}
}

func (c *Config) auditSettings() []*setting {
	return []*setting{
		{GroupAudit, "audit", "`file` that gets a line for each request that changes something or is not allowed, or stdout, or none",
			text(&c.Audit), nil, c.checkAudit},
	}
}

// maxSkew bounds how wrong clocks may be.
const maxSkew = 10 * time.Minute

// Authenticates says which proofs of identity are taken; neither if everybody
// may do everything.
func (c *Config) Authenticates() (jwt, mtls bool) {
	kinds := strings.Split(c.Auth, ",")
	return slices.Contains(kinds, AuthJWT), slices.Contains(kinds, AuthMTLS)
}

// TLS reports whether connections are encrypted.
func (c *Config) TLS() bool { return c.TLSCertFile != "" }

func (c *Config) checkAuth() error {
	if c.Auth == "" || c.Auth == None {
		return nil
	}
	kinds := strings.Split(c.Auth, ",")
	for i, kind := range kinds {
		switch {
		case kind != AuthJWT && kind != AuthMTLS:
			return fmt.Errorf("%.100q is none of %s, %s; %s stands alone", kind, AuthJWT, AuthMTLS, None)
		case slices.Contains(kinds[:i], kind):
			return fmt.Errorf("%s is there twice", kind)
		}
	}
	return nil
}

func (c *Config) checkIssuers() error {
	jwt, _ := c.Authenticates()
	switch {
	case jwt && len(c.Access.Issuers) == 0:
		return fmt.Errorf("it is needed with --auth %s", AuthJWT)
	case !jwt && len(c.Access.Issuers) > 0:
		return fmt.Errorf("it does nothing without --auth %s", AuthJWT)
	}
	for i, issuer := range c.Access.Issuers {
		if slices.Contains(c.Access.Issuers[:i], issuer) {
			return fmt.Errorf("%.100q is there twice", issuer)
		}
		if !isPlain(issuer) {
			return fmt.Errorf("%.100q holds control characters or is not text in UTF-8", issuer)
		}
	}
	return nil
}

func (c *Config) checkKeys() error {
	if len(c.Access.Keys) != len(c.Access.Issuers) {
		return fmt.Errorf("there are %d, and %d auth-issuers; each needs one", len(c.Access.Keys), len(c.Access.Issuers))
	}
	var faults []string
	for _, place := range c.Access.Keys {
		if strings.Contains(place, "://") {
			if err := checkHTTP(place); err != nil {
				faults = append(faults, fmt.Sprintf("%.100q: %v", hideUserinfo(place), err))
			}
		} else if err := readable(&place)(); err != nil {
			faults = append(faults, err.Error())
		}
	}
	return joined(faults)
}

func (c *Config) checkAudiences() error {
	audiences := c.Access.Audiences
	if jwt, _ := c.Authenticates(); jwt && len(audiences) == 0 {
		return fmt.Errorf("it is needed with --auth %s; %s takes every token of the issuers", AuthJWT, AnyAudience)
	}
	if slices.Contains(audiences, AnyAudience) && len(audiences) > 1 {
		return fmt.Errorf("%s must stand alone", AnyAudience)
	}
	return nil
}

func (c *Config) checkKeysMaxAge() error {
	return within(&c.Access.KeysMaxAge, max(c.Access.KeysRefresh, time.Second), 30*maxTimeout)()
}

func (c *Config) checkServerCert() error {
	if c.TLSCertFile == "" && c.TLSKeyFile != "" {
		return errors.New("it is needed with tls-key-file")
	}
	return readable(&c.TLSCertFile)()
}

func (c *Config) checkServerKey() error {
	if c.TLSKeyFile == "" && c.TLSCertFile != "" {
		return errors.New("it is needed with tls-cert-file")
	}
	return readable(&c.TLSKeyFile)()
}

func (c *Config) checkClientCA() error {
	_, mtls := c.Authenticates()
	switch {
	case !c.uses(GroupAuth):
	case mtls && c.ClientCAFile == "":
		return fmt.Errorf("it is needed with --auth %s", AuthMTLS)
	case mtls && !c.TLS():
		return fmt.Errorf("--auth %s needs tls-cert-file and tls-key-file too", AuthMTLS)
	case !mtls && c.ClientCAFile != "":
		return fmt.Errorf("it does nothing without --auth %s", AuthMTLS)
	}
	return readable(&c.ClientCAFile)()
}

func (l *Limits) checkRate() error {
	if l.Rate == 0 || l.Rate >= 0.01 && l.Rate <= 1e9 {
		return nil
	}
	return fmt.Errorf("it must be 0, or from 0.01 to 1e9, not %v", l.Rate)
}

// BodySizes returns the largest bodies in bytes: that of all operations, 0 if
// none is set, and those of some by their operationId.
func (l *Limits) BodySizes() (all int64, of map[string]int64, err error) {
	return parseBounds(l.MaxBody, func(text string) (int64, error) {
		digits, unit := text, int64(1)
		for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
			if rest, ok := strings.CutSuffix(text, suffix); ok {
				digits, unit = strings.TrimSpace(rest), size
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 1 || n > math.MaxInt32/unit {
			return 0, fmt.Errorf("%.100q is not a size from 1 to %d bytes", text, math.MaxInt32)
		}
		return n * unit, nil
	})
}

// Timeouts returns how long the work on a request may take: on one of any
// operation, and on those of some by their operationId; 0 is no limit.
func (l *Limits) Timeouts() (all time.Duration, of map[string]time.Duration, err error) {
	return parseBounds(l.RequestTimeout, func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxTimeout {
			return 0, fmt.Errorf("%.100q is not a time from 0s to %v", text, maxTimeout)
		}
		return d, nil
	})
}

// parseBounds reads items BOUND and operationId=BOUND.
func parseBounds[T any](items []string, parse func(string) (T, error)) (all T, of map[string]T, err error) {
	of = map[string]T{}
	seen := false
	for _, item := range items {
		operation, text, one := strings.Cut(item, "=")
		if !one {
			operation, text = "", item
		}
		bound, err := parse(strings.TrimSpace(text))
		if err != nil {
			return all, nil, err
		}
		operation = strings.TrimSpace(operation)
		_, twice := of[operation]
		switch {
		case one && operation == "":
			return all, nil, fmt.Errorf("%.100q names no operation", item)
		case one && twice:
			return all, nil, fmt.Errorf("%.100q is there twice", operation)
		case one:
			of[operation] = bound
		case seen:
			return all, nil, errors.New("there is more than one for all operations")
		default:
			all, seen = bound, true
		}
	}
	return all, of, nil
}

func (c *Config) checkAudit() error {
	if c.Audit == None || c.Audit == AuditStdout {
		return nil
	}
	if c.Audit == "" {
		return fmt.Errorf("it needs a file, or %s or %s", AuditStdout, None)
	}
	if err := printable(&c.Audit)(); err != nil {
		return err
	}
	dir := filepath.Dir(c.Audit)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder; the file itself is made", dir)
	}
	if info, err := os.Stat(c.Audit); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", c.Audit)
	}
	return nil
}
