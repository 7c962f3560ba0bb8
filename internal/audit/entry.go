// SPDX-License-Identifier: MIT

package audit

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"bos/internal/xname"
)

const (
	// maxResources bounds the text of what was changed, maxText any other text
	// that a client chose, in bytes.
	maxResources = 4096
	maxText      = 512
	// Denials of nobody are written at this rate and burst at most: everybody
	// who reaches the port can cause them, and they must not fill the disk.
	denialsPerSecond = 20
	denialsBurst     = 1000
)

const statusUnauthenticated = http.StatusUnauthorized

// Entry is one request. No field holds anything of a body but names: neither
// kernel parameters nor tokens can get here.
type Entry struct {
	// Time is when the request arrived, Duration how long the answer took.
	Time     time.Time
	Duration time.Duration
	// RequestID is the client's, or was made.
	RequestID string
	// Who is the caller's name, Display the one that people know, Issuer who
	// vouches for it, Method how it was proved, Roles what it may be.
	Who, Display, Issuer, Method, Roles string
	// Address is where the connection came from, ForwardedFor what somebody in
	// between, or the client, says about that.
	Address, ForwardedFor string
	Tenant                string
	// Operation is the operationId.
	Operation string
	// Resources are the names of what was changed: components, sessions,
	// templates or options.
	Resources []string
	// Status is the HTTP status. Denied says why the request was not allowed.
	Status int
	Denied string
}

// record is an entry as it is written.
type record struct {
	Time         string  `json:"time"`
	RequestID    string  `json:"request_id"`
	Who          string  `json:"who"`
	Display      string  `json:"name,omitempty"`
	Issuer       string  `json:"issuer,omitempty"`
	Method       string  `json:"auth"`
	Roles        string  `json:"roles"`
	Address      string  `json:"address"`
	ForwardedFor string  `json:"forwarded_for,omitempty"`
	Tenant       string  `json:"tenant,omitempty"`
	Operation    string  `json:"operation"`
	Resources    string  `json:"resources,omitempty"`
	Count        int     `json:"count"`
	Truncated    bool    `json:"truncated,omitempty"`
	Status       int     `json:"status"`
	Denied       string  `json:"denied,omitempty"`
	Milliseconds float64 `json:"duration_ms"`
}

// line writes the entry as one line of JSON. Its length is bounded.
func (e Entry) line() ([]byte, error) {
	r := record{
		Time: e.Time.UTC().Format(time.RFC3339Nano), RequestID: clip(e.RequestID),
		Who: clip(e.Who), Display: clip(e.Display), Issuer: clip(e.Issuer), Method: e.Method, Roles: e.Roles,
		Address: clip(e.Address), ForwardedFor: clip(e.ForwardedFor), Tenant: clip(e.Tenant), Operation: e.Operation,
		Count: len(e.Resources), Status: e.Status, Denied: clip(e.Denied),
		Milliseconds: float64(e.Duration.Microseconds()) / 1000,
	}
	r.Resources, r.Truncated = fold(e.Resources)
	line, err := json.Marshal(r)
	return append(line, '\n'), err
}

// fold writes names as ranges, as far as there is room.
func fold(names []string) (text string, truncated bool) {
	text = xname.Fold(names)
	if len(text) <= maxResources {
		return text, false
	}
	text = text[:maxResources]
	// A range that is cut would say something else; what is between brackets has
	// commas too.
	depth, end := 0, 0
	for i, c := range []byte(text) {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				end = i
			}
		}
	}
	return text[:end], true
}

// clip shortens a text.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	for !utf8.ValidString(text) && text != "" {
		text = text[:len(text)-1]
	}
	return strings.TrimSpace(text) + "…"
}

// denials bounds the lines of requests from nobody.
type denials struct {
	once  sync.Once
	limit *rate.Limiter
}

func (d *denials) allow(at time.Time) bool {
	d.once.Do(func() { d.limit = rate.NewLimiter(denialsPerSecond, denialsBurst) })
	return d.limit.AllowN(at, 1)
}
