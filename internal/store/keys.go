// SPDX-License-Identifier: MIT

package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"bos/internal/bos"
)

// The layout of keys. Everything lives under Root. Names of sessions and
// templates are keyed by tenant first, with a NUL in between: it can't be in
// either, and nobody's come first.
const (
	Root             = "/bos/"
	KeySchema        = Root + "schema"
	KeyClock         = Root + "clock"
	KeyOptions       = Root + "options"
	PrefixComponents = Root + "components/"
	PrefixTemplates  = Root + "templates/"
	PrefixSessions   = Root + "sessions/"
	PrefixStatuses   = Root + "statuses/"
	PrefixResults    = Root + "results/"
	PrefixPlans      = Root + "plans/"
	PrefixTokens     = Root + "tokens/"
	PrefixAttempts   = Root + "attempts/"
	PrefixLeaders    = Root + "leaders/"
	PrefixEvents     = Root + "events/"
)

const keySeparator = "\x00"

// ComponentKey is where a component is kept.
func ComponentKey(id string) string { return PrefixComponents + id }

// TemplateKey is where a session template is kept.
func TemplateKey(k bos.TemplateKey) string { return PrefixTemplates + tenantKey(k) }

// SessionKey is where a session is kept.
func SessionKey(k bos.SessionKey) string { return PrefixSessions + tenantKey(k) }

// StatusKey is where the saved extended status of a session is kept.
func StatusKey(k bos.SessionKey) string { return PrefixStatuses + tenantKey(k) }

// ResultKey is where the result of a complete session is kept.
func ResultKey(k bos.SessionKey) string { return PrefixResults + tenantKey(k) }

// PlanPrefix is where the chunks of the plan of a session (by its UID) are
// kept; PlanKey is where one of them is.
func PlanPrefix(uid string) string { return PrefixPlans + uid + "/" }

// PlanKey is where chunk n of a session's plan is kept.
func PlanKey(uid string, n int) string { return fmt.Sprintf("%s%06d", PlanPrefix(uid), n) }

// TokenKey is where the artifacts behind a BSS token are kept.
func TokenKey(token string) string { return PrefixTokens + token }

// AttemptKey is where an attempt is kept.
func AttemptKey(id string) string { return PrefixAttempts + id }

// NewEventKey is where an event of a time is kept: they are in the order of their
// times. Of two at the same moment each gets a key of its own.
func NewEventKey(at time.Time) string {
	return fmt.Sprintf("%s%016x-%08x", PrefixEvents, max(0, at.UnixNano()), rand.Uint32())
}

func tenantKey(k bos.SessionKey) string { return k.Tenant + keySeparator + k.Name }

// ParseTenantKey turns what follows a prefix back into a tenant and a name.
func ParseTenantKey(suffix string) (bos.SessionKey, bool) {
	tenant, name, ok := strings.Cut(suffix, keySeparator)
	return bos.SessionKey{Tenant: tenant, Name: name}, ok
}
