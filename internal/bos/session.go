// SPDX-License-Identifier: MIT

package bos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Operation is what a session does to its nodes.
type Operation string

// The operations.
const (
	OperationBoot     Operation = "boot"
	OperationReboot   Operation = "reboot"
	OperationShutdown Operation = "shutdown"
)

// SessionState is how far a session is.
type SessionState string

// The states of a session.
const (
	SessionPending  SessionState = "pending"
	SessionRunning  SessionState = "running"
	SessionComplete SessionState = "complete"
)

// SessionKey identifies a session: names are unique per tenant, and the empty
// tenant is nobody's.
type SessionKey struct {
	Tenant string
	Name   string
}

// Compare orders keys by tenant, nobody's first, then by name.
func (k SessionKey) Compare(o SessionKey) int {
	return cmp.Or(strings.Compare(k.Tenant, o.Tenant), strings.Compare(k.Name, o.Name))
}

// TemplateKey identifies a session template.
type TemplateKey = SessionKey

// Session is an operation performed on a session template, as clients see it.
type Session struct {
	Name            string
	Tenant          string
	Operation       Operation
	TemplateName    string
	Limit           string
	Stage           bool
	Components      string
	IncludeDisabled bool
	Status          SessionStatus
}

// SessionStatus is a session's state, times and error. EndTime and Error are
// null until there is one.
type SessionStatus struct {
	StartTime string       `json:"start_time"`
	EndTime   *string      `json:"end_time"`
	Status    SessionState `json:"status"`
	Error     *string      `json:"error"`
}

// Key returns the session's identity.
func (s *Session) Key() SessionKey { return SessionKey{Tenant: s.Tenant, Name: s.Name} }

// sessionJSON is a session on the wire: every key is always there.
type sessionJSON struct {
	Components      string        `json:"components"`
	IncludeDisabled bool          `json:"include_disabled"`
	Limit           string        `json:"limit"`
	Name            string        `json:"name"`
	Operation       Operation     `json:"operation"`
	Stage           bool          `json:"stage"`
	Status          SessionStatus `json:"status"`
	TemplateName    string        `json:"template_name"`
	Tenant          *string       `json:"tenant"`
}

// MarshalJSON writes the session with every key; tenant is null for nobody's.
func (s Session) MarshalJSON() ([]byte, error) {
	wire := sessionJSON{
		Components:      s.Components,
		IncludeDisabled: s.IncludeDisabled,
		Limit:           s.Limit,
		Name:            s.Name,
		Operation:       s.Operation,
		Stage:           s.Stage,
		Status:          s.Status,
		TemplateName:    s.TemplateName,
		Tenant:          nullable(s.Tenant),
	}
	return json.Marshal(wire)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Session) UnmarshalJSON(data []byte) error {
	var wire sessionJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*s = Session{
		Components:      wire.Components,
		IncludeDisabled: wire.IncludeDisabled,
		Limit:           wire.Limit,
		Name:            wire.Name,
		Operation:       wire.Operation,
		Stage:           wire.Stage,
		Status:          wire.Status,
		TemplateName:    wire.TemplateName,
	}
	if wire.Tenant != nil {
		s.Tenant = *wire.Tenant
	}
	return nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// SessionRecord is all that BOS keeps of a session.
type SessionRecord struct {
	Session Session       `json:"doc"`
	Sealed  SessionSealed `json:"sealed"`
	// Revision is the store's revision of the last write.
	Revision int64 `json:"-"`
}

// SessionSealed is what BOS knows about a session beside what clients see.
type SessionSealed struct {
	// UID tells this session from another one of the same name; its plan and
	// the stamps on its nodes carry it.
	UID string `json:"uid"`
	// Setup is how far set-up is.
	Setup SetupState `json:"setup,omitempty"`
	// Chunks is how many documents hold the session's plan and, once it runs,
	// its members.
	Chunks int `json:"chunks,omitempty"`
	// Nodes is how many nodes the chunks name.
	Nodes int `json:"nodes,omitempty"`
	// Edited says that a client wrote components; then the document counts, not
	// the chunks.
	Edited bool `json:"edited,omitempty"`
	// Paused says that nothing is done for its nodes until it is resumed,
	// Cancelled that nothing is any more: it completes as soon as its nodes were
	// told. StoppedAt is when that was asked for.
	Paused    bool    `json:"paused,omitempty"`
	Cancelled bool    `json:"cancelled,omitempty"`
	StoppedAt Instant `json:"stopped_at,omitempty"`
}

// Stopped reports whether nobody may act for a session: it is paused, or being
// cancelled. Once it is complete, its nodes are nobody's business.
func (r *SessionRecord) Stopped() bool {
	return r.Session.Status.Status != SessionComplete && (r.Sealed.Paused || r.Sealed.Cancelled)
}

// SetupState is how far the set-up of a session is. Clients see pending until
// it is applied.
type SetupState string

// The states of set-up: nothing decided yet, the plan is stored, every node of
// the plan was written.
const (
	SetupNew     SetupState = ""
	SetupPlanned SetupState = "planned"
	SetupApplied SetupState = "applied"
)

// PlanChunk is a part of a session's plan: nodes and the state that set-up
// gives to each. Once the session runs its chunks are its members.
type PlanChunk struct {
	// UID is the session's.
	UID string `json:"uid"`
	// Targets are the distinct target states that Nodes refer to.
	Targets []Target `json:"targets"`
	// Nodes maps each node to the index of its target.
	Nodes []PlannedNode `json:"nodes"`
	// Applied says that every node of the chunk was written.
	Applied bool `json:"applied,omitempty"`
}

// PlannedNode is one node of a plan. Unknown says that BOS had no component of
// it when the plan was applied.
type PlannedNode struct {
	ID      string `json:"id"`
	Target  int    `json:"t,omitempty"`
	Unknown bool   `json:"u,omitempty"`
}

// Target is the state that a session gives to nodes.
type Target struct {
	BootArtifacts BootArtifacts `json:"boot_artifacts"`
	Configuration string        `json:"configuration"`
}

// SessionCreate is the body of POST /v2/sessions after its schema was checked.
type SessionCreate struct {
	Operation       Operation `json:"operation"`
	TemplateName    string    `json:"template_name"`
	Name            string    `json:"name"`
	Limit           *string   `json:"limit"`
	Stage           bool      `json:"stage"`
	IncludeDisabled bool      `json:"include_disabled"`
}

// NewSession makes the pending session of a request. uid is its identity;
// the name is uid too if the request has none.
func NewSession(create SessionCreate, tenant, uid string, now time.Time) SessionRecord {
	name := create.Name
	if name == "" {
		name = uid
	}
	var limit string
	if create.Limit != nil {
		limit = *create.Limit
	}
	return SessionRecord{
		Session: Session{
			Name:            name,
			Tenant:          tenant,
			Operation:       create.Operation,
			TemplateName:    create.TemplateName,
			Limit:           limit,
			Stage:           create.Stage,
			IncludeDisabled: create.IncludeDisabled,
			Status:          SessionStatus{StartTime: Timestamp(now), Status: SessionPending},
		},
		Sealed: SessionSealed{UID: uid},
	}
}

// SessionPatch is the body of PATCH /v2/sessions/{id}.
type SessionPatch struct {
	Components Opt[string] `json:"components,omitzero"`
	Status     struct {
		StartTime Opt[string]       `json:"start_time,omitzero"`
		EndTime   optNullString     `json:"end_time,omitzero"`
		Status    Opt[SessionState] `json:"status,omitzero"`
		Error     optNullString     `json:"error,omitzero"`
	} `json:"status"`
}

// optNullString is absent, null or a text.
type optNullString struct {
	set   bool
	value *string
}

func (o *optNullString) UnmarshalJSON(data []byte) error {
	o.set = true
	return json.Unmarshal(data, &o.value)
}

// Patch applies a client's patch. Times must be dates or dates and times. A
// session that a client sends back to pending is set up anew, under uid.
func (r SessionRecord) Patch(p SessionPatch, uid string) (SessionRecord, error) {
	status := &r.Session.Status
	if v, ok := p.Status.StartTime.Get(); ok {
		if _, err := ParseTimestamp(v); err != nil {
			return r, Errorf(CodeInvalid, "status.start_time: %v", err)
		}
		status.StartTime = v
	}
	if v := p.Status.EndTime; v.set {
		if v.value != nil {
			if _, err := ParseTimestamp(*v.value); err != nil {
				return r, Errorf(CodeInvalid, "status.end_time: %v", err)
			}
		}
		status.EndTime = v.value
	}
	if p.Status.Error.set {
		status.Error = p.Status.Error.value
	}
	if v, ok := p.Status.Status.Get(); ok {
		if v == SessionPending && status.Status != SessionPending {
			r.Sealed = SessionSealed{UID: uid}
		}
		if v != SessionComplete && status.Status == SessionComplete {
			// A client that has it go on means it.
			r.Sealed.Paused, r.Sealed.Cancelled = false, false
		}
		status.Status = v
	}
	if v, ok := p.Components.Get(); ok {
		r.Session.Components = v
		r.Sealed.Edited = true
	}
	return r, nil
}

// Complete ends a session; errText is "" for one that did its work.
func (r SessionRecord) Complete(now time.Time, errText string) SessionRecord {
	end := Timestamp(now)
	r.Session.Status.EndTime = &end
	r.Session.Status.Status = SessionComplete
	if errText != "" {
		r.Session.Status.Error = &errText
	}
	return r
}

// SessionFilter narrows lists of sessions. Zero values filter nothing.
type SessionFilter struct {
	MinAge, MaxAge Opt[time.Duration]
	Status         SessionState
}

// Match reports whether a session passes the filter at a time. A session
// without a readable start time passes no age.
func (f SessionFilter) Match(s *Session, now time.Time) bool {
	if f.Status != "" && f.Status != s.Status.Status {
		return false
	}
	if !f.MinAge.IsSet() && !f.MaxAge.IsSet() {
		return true
	}
	start, err := ParseTimestamp(s.Status.StartTime)
	if err != nil {
		return false
	}
	age := now.UTC().Sub(start)
	if minAge, ok := f.MinAge.Get(); ok && age < minAge {
		return false
	}
	if maxAge, ok := f.MaxAge.Get(); ok && age > maxAge {
		return false
	}
	return true
}

// NotFoundText is the detail of a 404 for a resource of a tenant, kind being
// "Session" or "Session template".
func NotFoundText(kind string, key SessionKey) string {
	if key.Tenant == "" {
		return fmt.Sprintf("%s '%s' does not exist", kind, key.Name)
	}
	return fmt.Sprintf("%s for tenant '%s' '%s' does not exist", kind, key.Tenant, key.Name)
}
