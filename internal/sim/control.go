// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxControlBody bounds the requests of the control endpoint.
const maxControlBody = 1 << 20

// maxControlLog is how many calls GET /sim/log shows at most.
const maxControlLog = 10000

// serviceFaultBody is a ServiceFault as JSON: durations are texts.
type serviceFaultBody struct {
	Kind   ServiceFaultKind `json:"kind"`
	Delay  string           `json:"delay,omitempty"`
	Status int              `json:"status,omitempty"`
	Body   string           `json:"body,omitempty"`
	Method string           `json:"method,omitempty"`
	Path   string           `json:"path,omitempty"`
	Nodes  []string         `json:"nodes,omitempty"`
	More   int              `json:"more_than,omitempty"`
	For    string           `json:"for,omitempty"`
}

// MarshalJSON encodes the fault with durations as texts.
func (f ServiceFault) MarshalJSON() ([]byte, error) {
	return json.Marshal(serviceFaultBody{
		f.Kind, durationText(f.Delay), f.Status, f.Body, f.Method, f.Path, f.Nodes, f.MoreThan, durationText(f.For),
	})
}

// UnmarshalJSON decodes what MarshalJSON encodes. Negative durations and
// statuses that HTTP has not got are errors.
func (f *ServiceFault) UnmarshalJSON(b []byte) error {
	var in serviceFaultBody
	err := json.Unmarshal(b, &in)
	if err != nil {
		return err
	}
	out := ServiceFault{
		Kind: in.Kind, Status: in.Status, Body: in.Body, Method: in.Method, Path: in.Path, Nodes: in.Nodes, MoreThan: max(in.More, 0),
	}
	if out.Delay, err = parseDuration("delay", in.Delay); err != nil {
		return err
	}
	if out.For, err = parseDuration("for", in.For); err != nil {
		return err
	}
	if in.Status != 0 && (in.Status < 200 || in.Status > 599) {
		return fmt.Errorf("status is %d, must be 200 to 599", in.Status)
	}
	*f = out
	return nil
}

// Control returns an HTTP handler to look at the site and to break it:
//
//	GET  /sim/state                   counts, statistics, URLs, what the hardware needs
//	GET  /sim/nodes/{xname}           the truth about a node
//	POST /sim/nodes/{xname}/fault     {"kind": "slow_power_on", "delay": "1m"}
//	POST /sim/services/{name}/fault   {"kind": "status", "status": 503, "for": "30s"}
//	GET  /sim/log?limit=100           the last calls
//	GET  /sim/log?limit=1&after=2006-01-02T15:04:05Z&operation=On
//	                                  the first calls after a time, of an operation of PCS
//	GET  /sim/violations
//
// A fault of kind "none" or "healthy" heals. Errors are {"error": "..."}.
func (s *Site) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim/state", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, typeJSON, map[string]any{
			"counts": s.Counts(), "stats": s.Stats(), "urls": s.URLs(), "images": s.Images(),
			"uptime":   time.Since(s.t0).String(),
			"hardware": map[string]float64{"ready_seconds": s.ReadyTime(s.Nodes()).Seconds()},
		})
	})
	mux.HandleFunc("GET /sim/nodes/{xname}", func(w http.ResponseWriter, r *http.Request) {
		n, ok := s.Node(r.PathValue("xname"))
		if !ok {
			controlError(w, http.StatusNotFound, "no such node")
			return
		}
		reply(w, http.StatusOK, typeJSON, n)
	})
	mux.HandleFunc("POST /sim/nodes/{xname}/fault", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if !controlBody(w, r, &f) {
			return
		}
		if err := s.Inject(r.PathValue("xname"), f); err != nil {
			controlError(w, http.StatusNotFound, err.Error())
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /sim/services/{name}/fault", func(w http.ResponseWriter, r *http.Request) {
		var f ServiceFault
		if !controlBody(w, r, &f) {
			return
		}
		if s.services[r.PathValue("name")] == nil {
			controlError(w, http.StatusNotFound, "no such service")
			return
		}
		s.InjectService(r.PathValue("name"), f)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /sim/log", s.controlLog)
	mux.HandleFunc("GET /sim/violations", func(w http.ResponseWriter, _ *http.Request) {
		list := s.Violations()
		if list == nil {
			list = []Violation{}
		}
		reply(w, http.StatusOK, typeJSON, list)
	})
	return mux
}

func (s *Site) controlLog(w http.ResponseWriter, r *http.Request) {
	limit := 1000
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxControlLog {
			controlError(w, http.StatusBadRequest, fmt.Sprintf("limit must be 0 to %d", maxControlLog))
			return
		}
		limit = n
	}
	after, operation := r.URL.Query().Get("after"), r.URL.Query().Get("operation")
	if after == "" && operation == "" {
		reply(w, http.StatusOK, typeJSON, s.calls.last(limit))
		return
	}
	var since time.Time
	if after != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, after); err != nil {
			controlError(w, http.StatusBadRequest, "after must be a time such as 2006-01-02T15:04:05.999Z")
			return
		}
	}
	reply(w, http.StatusOK, typeJSON, s.calls.first(limit, func(c *Call) bool {
		return c.Time.After(since) && (operation == "" || c.Operation == operation)
	}))
}

func controlError(w http.ResponseWriter, status int, text string) {
	reply(w, status, typeJSON, map[string]string{"error": text})
}

// controlBody decodes a bounded body, or answers what is wrong with it.
func controlBody(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
	if err != nil {
		controlError(w, http.StatusRequestEntityTooLarge, err.Error())
		return false
	}
	if err := json.Unmarshal(body, into); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}
