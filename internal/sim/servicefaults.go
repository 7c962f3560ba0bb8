// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ServiceFaultKind is a way in which a service can fail.
type ServiceFaultKind uint8

// The ways in which a service fails. Except with ServiceHalf and ServiceLost the
// request has no effect.
const (
	// ServiceHealthy is no fault.
	ServiceHealthy ServiceFaultKind = iota
	// ServiceDown refuses connections. It can't be limited to some requests.
	ServiceDown
	// ServiceReset breaks the connection instead of answering.
	ServiceReset
	// ServiceSlow waits for Delay and then works, also for a client that has gone.
	ServiceSlow
	// ServiceStatus answers Status (500 for 0) with Body or a problem.
	ServiceStatus
	// ServiceGarbage answers 200 with Body or something that is no JSON.
	ServiceGarbage
	// ServiceHalf carries the request out for the first half of the nodes that it
	// names and answers Status (500 for 0).
	ServiceHalf
	// ServiceHang never answers.
	ServiceHang
	// ServiceLost carries the request out and breaks the connection.
	ServiceLost
)

// names of the kinds, in their order.
func serviceFaultNames() []string {
	return []string{
		"healthy", "down", "reset", "slow", "status", "garbage", "half_applied", "hang", "answer_lost",
	}
}

// String returns the kind in snake_case.
func (k ServiceFaultKind) String() string {
	if names := serviceFaultNames(); int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("service_fault_%d", uint8(k))
}

// MarshalText encodes the kind as its name.
func (k ServiceFaultKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText decodes a name; an unknown one is an error.
func (k *ServiceFaultKind) UnmarshalText(b []byte) error {
	i := slices.Index(serviceFaultNames(), string(b))
	if i < 0 {
		return fmt.Errorf("unknown service fault %q", b)
	}
	*k = ServiceFaultKind(i)
	return nil
}

// ServiceFault is how a service fails. The zero value is a healthy service.
type ServiceFault struct {
	// Kind is what happens.
	Kind ServiceFaultKind
	// Delay is how long ServiceSlow waits, before scaling.
	Delay time.Duration
	// Status is what ServiceStatus and ServiceHalf answer; 0 means 500.
	Status int
	// Body is what ServiceStatus and ServiceGarbage answer; "" means a problem,
	// or text that is no JSON.
	Body string
	// Method limits the fault to one HTTP method, Path to requests whose path
	// contains it, Nodes to requests that name one of these nodes in their body
	// or query. Empty limits nothing.
	Method string
	Path   string
	Nodes  []string
	// MoreThan limits the fault to requests that name more than so many nodes: a
	// service that takes no more at once. 0 limits nothing.
	MoreThan int
	// For is how long the fault lasts, before scaling; 0 means until another one
	// is injected.
	For time.Duration
}

// InjectService makes a service fail, or heals it with the zero value. Requests
// that hang in the former fault are let go. An unknown service is ignored.
func (s *Site) InjectService(name string, f ServiceFault) {
	svc := s.services[name]
	if svc == nil || !s.begin() {
		return
	}
	defer s.wg.Done()
	svc.mu.Lock()
	defer svc.mu.Unlock()
	svc.set(f)
	if f.Kind == ServiceHealthy || f.For <= 0 {
		return
	}
	current := svc.changed
	s.mu.Lock()
	s.after(s.scaled(f.For), func() {
		// Opening a port takes the service's own lock, which must not be taken
		// under the site's.
		s.wg.Go(func() {
			svc.mu.Lock()
			defer svc.mu.Unlock()
			if svc.changed == current {
				svc.set(ServiceFault{})
			}
		})
	})
	s.mu.Unlock()
}

// set replaces the fault; svc.mu must be held.
func (svc *service) set(f ServiceFault) {
	svc.fault = f
	svc.failing.Store(&f)
	close(svc.changed)
	svc.changed = make(chan struct{})
	s := svc.site
	s.mu.Lock()
	serving := s.started && !s.closed
	s.mu.Unlock()
	s.cfg.Logger.Info("service fault", slog.String("service", svc.name), slog.String("fault", f.Kind.String()))
	switch {
	case f.Kind == ServiceDown:
		svc.port.down()
	case serving:
		if err := svc.port.up(); err != nil {
			s.cfg.Logger.Error("a simulated service does not come back", slog.String("service", svc.name), slog.Any("error", err))
		}
	}
}

func (svc *service) currentFault() ServiceFault {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	return svc.fault
}

// applyFault does what the service's fault wants done and reports whether the
// request is to be handled normally.
func (svc *service) applyFault(w http.ResponseWriter, q *req) bool {
	svc.mu.Lock()
	f, changed := svc.fault, svc.changed
	svc.mu.Unlock()
	if f.Kind == ServiceHealthy || !f.hits(q) {
		return true
	}
	s := svc.site
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	switch f.Kind {
	case ServiceSlow:
		return s.sleep(s.ctx, s.scaled(f.Delay))
	case ServiceStatus:
		svc.refused(q)
		if f.Body != "" {
			replyBytes(w, status, typeJSON, []byte(f.Body))
			return false
		}
		problem(w, status, "injected fault")
	case ServiceGarbage:
		replyBytes(w, http.StatusOK, typeJSON, []byte(pick(f.Body != "", f.Body, `{"status": [{"xna`)))
	case ServiceHalf:
		if half, ok := halved(q.body); ok {
			svc.handle(&memoryWriter{header: http.Header{}}, &req{Request: q.Request, body: half, call: q.call})
		}
		svc.refused(q)
		problem(w, status, "injected fault: half of it was done")
	case ServiceHang:
		svc.refused(q)
		select {
		case <-q.Context().Done():
		case <-s.ctx.Done():
		case <-changed:
		}
		breakOff(w)
	case ServiceLost:
		svc.handle(&memoryWriter{header: http.Header{}}, q)
		breakOff(w)
	case ServiceDown, ServiceReset, ServiceHealthy:
		svc.refused(q)
		breakOff(w)
	}
	return false
}

// refused tells the judge which nodes a BSS write named that came to nothing.
func (svc *service) refused(q *req) {
	if svc.name == "bss" && q.Method == http.MethodPut {
		svc.site.judgeRefusedPut(q.body)
	}
}

// hits reports whether the fault concerns the request.
func (f *ServiceFault) hits(q *req) bool {
	text := ""
	if len(f.Nodes) > 0 {
		text = string(q.body) + " " + q.URL.RawQuery + " " + q.URL.Path
	}
	if f.MoreThan > 0 && named(q) <= f.MoreThan {
		return false
	}
	return f.concerns(q.Method, q.URL.Path, text)
}

// named counts the nodes that a request names.
func named(q *req) int {
	if ids := q.URL.Query().Get("ids"); ids != "" {
		return len(splitList(ids))
	}
	var in struct {
		Hosts, ComponentIDs, Xname, Location []json.RawMessage
		Filters                              struct{ IDs string }
	}
	if json.Unmarshal(q.body, &in) != nil {
		return 0
	}
	return len(in.Hosts) + len(in.ComponentIDs) + len(in.Xname) + len(in.Location) + len(splitList(in.Filters.IDs))
}

// concerns reports whether the fault concerns a request that has these nodes in
// its text.
func (f *ServiceFault) concerns(method, path, text string) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, method) || !strings.Contains(path, f.Path) {
		return false
	}
	return len(f.Nodes) == 0 || slices.ContainsFunc(f.Nodes, func(x string) bool { return strings.Contains(text, x) })
}

// breakOff ends the connection without an answer; on a socket the peer sees it
// reset.
func breakOff(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}

// halved returns a request body with the first half of its nodes, false where
// that is none.
func halved(body []byte) ([]byte, bool) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil {
		return encoded(list[:len(list)/2]), len(list) > 1
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil, false
	}
	for _, key := range []string{"hosts", "location", "ComponentIDs", "xname"} {
		if json.Unmarshal(fields[key], &list) == nil && len(list) > 1 {
			fields[key] = encoded(list[:len(list)/2])
			return encoded(fields), true
		}
	}
	var filters map[string]any
	if json.Unmarshal(fields["filters"], &filters) == nil {
		text, _ := filters["ids"].(string)
		if ids := strings.Split(text, ","); len(ids) > 1 {
			filters["ids"] = strings.Join(ids[:len(ids)/2], ",")
			fields["filters"] = encoded(filters)
			return encoded(fields), true
		}
	}
	return nil, false
}

// encoded returns v as JSON; it is used for what came from JSON.
func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
