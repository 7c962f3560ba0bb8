// SPDX-License-Identifier: MIT

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/sim"
	"bos/internal/view"
)

// record lets a handler answer a request in process.
func record(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI, in.Host, in.RemoteAddr = r.URL.RequestURI(), r.URL.Host, "192.0.2.1:1234"
	body := []byte{}
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	h.ServeHTTP(w, in)
	res := w.Result()
	res.Request = r
	return res
}

// Log keeps what BOS logs at level info and above.
type Log struct {
	mu    sync.Mutex
	lines []string
	attrs []slog.Attr
	root  *Log
}

func (l *Log) top() *Log {
	if l.root != nil {
		return l.root
	}
	return l
}

// Enabled implements [slog.Handler].
func (l *Log) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (l *Log) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Level, r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value.Resolve())
		return true
	}
	for _, a := range l.attrs {
		add(a)
	}
	r.Attrs(add)
	top := l.top()
	top.mu.Lock()
	defer top.mu.Unlock()
	top.lines = append(top.lines, b.String())
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Log{attrs: slices.Concat(l.attrs, attrs), root: l.top()}
}

// WithGroup implements [slog.Handler]; groups are not told apart.
func (l *Log) WithGroup(string) slog.Handler { return l }

// Has reports whether a line was logged that contains all of some texts.
func (l *Log) Has(texts ...string) bool {
	top := l.top()
	top.mu.Lock()
	defer top.mu.Unlock()
	return slices.ContainsFunc(top.lines, func(line string) bool {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				return false
			}
		}
		return true
	})
}

// Dump shows the components that are not at rest, and the sessions.
func (l *Lab) Dump() string {
	a := l.App()
	if a == nil {
		return "no BOS lives\n"
	}
	var b strings.Builder
	for _, s := range a.View().Sessions("") {
		fmt.Fprintf(&b, "session %s: %+v\n", s.Session.Name, s.Session.Status)
	}
	shown := 0
	for _, n := range a.View().Components(view.Filter{}) {
		if !n.Record.Component.Enabled.Value() && n.Status == bos.StatusStable {
			continue
		}
		if shown++; shown > 8 {
			b.WriteString("...\n")
			break
		}
		at, _ := l.Site.Node(n.ID())
		fmt.Fprintf(&b, "%s %s\n  sealed %+v", n.Status, n.AppendJSON(nil), n.Record.Sealed)
		if w := n.Record.Sealed.Wait; w != nil {
			fmt.Fprintf(&b, " wait %+v", *w)
		}
		fmt.Fprintf(&b, "\n  site %+v\n", at)
		for _, c := range l.CallsTo(n.ID()) {
			fmt.Fprintf(&b, "  %s %s %s %s %s %d\n", c.Time.Format("15:04:05.000"), c.Service, c.Method, c.Path, c.Operation, c.Status)
		}
	}
	return b.String()
}

// CallsTo returns the changing calls that named a node, oldest first.
func (l *Lab) CallsTo(id string) []sim.Call {
	var out []sim.Call
	for _, c := range l.Site.Log() {
		if slices.Contains(c.Nodes, id) {
			out = append(out, c)
		}
	}
	return out
}

// Operations returns the operations that PCS was sent for a node, in order.
func (l *Lab) Operations(id string) []string {
	var out []string
	for _, c := range l.CallsTo(id) {
		if c.Service == "pcs" && c.Operation != "" {
			out = append(out, c.Operation)
		}
	}
	return out
}

// Turns returns whose turn the enabled components are, as BOS sees it.
func (l *Lab) Turns() []sim.Turn {
	a := l.App()
	if a == nil {
		return nil
	}
	v, now := a.View(), a.Clock().Now()
	var turns []sim.Turn
	for _, rec := range v.Records(v.EnabledIDs()) {
		open := false
		if mark := rec.Sealed.Attempt; mark != nil {
			_, open = v.Attempt(mark.ID)
		}
		turn, ok := decide.Turn(rec, v.Options(), false, open)
		if !ok {
			continue
		}
		t := sim.Turn{ID: rec.Component.ID, Owner: turn.Owner, Awaiting: turn.Awaiting}
		if turn.Due != 0 {
			t.Due = time.Now().Add(a.Clock().Real(turn.Due.Sub(now)))
		}
		turns = append(turns, t)
	}
	return turns
}

// CheckNoViolations fails the test for whatever the site's judge found.
func (l *Lab) CheckNoViolations(t testing.TB) {
	t.Helper()
	for _, v := range l.Site.Violations() {
		t.Errorf("violation: %s %s: %s", v.Rule, v.Node, v.Detail)
	}
}
