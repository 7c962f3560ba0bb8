// SPDX-License-Identifier: MIT

// Package world is the stub world in which the behaviour of the original
// service was recorded: HSM, PCS, BSS, CFS, IMS, TAPMS and S3 in one handler,
// with nodes that power on and off, report to BOS and get configured. It is a
// port of the recorder's own stub, call for call; a test holds the two against
// each other.
//
// It is simpler than the simulated site: it follows its documents and nothing
// else, so that a recording can be played again.
package world

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// World is one stub world. It is safe for concurrent use and must be closed.
type World struct {
	bos    string
	client *http.Client

	clock *schedule

	mu sync.Mutex
	// generation is the number of the document that was loaded last.
	generation int
	// doc is the document that was loaded last; its parts whose order counts
	// are in nodes, groups and partitions.
	doc         map[string]any
	groups      *table
	partitions  *table
	defaults    map[string]any
	nodes       *table
	cfs         map[string]map[string]any
	bss         map[string]map[string]any
	images      map[string]any
	objects     map[string][]byte
	transitions map[string]transition
	calls       []Call
	closed      bool
	reporting   sync.WaitGroup
}

// Call is one request that a service got, in the form that the recordings
// have it. T is in seconds since 1970.
type Call struct {
	T       float64           `json:"t"`
	Service string            `json:"service"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Query   map[string]string `json:"query"`
	Body    any               `json:"body"`
}

// Config says how nodes report.
type Config struct {
	// BOS is the base URL of the API, without /v2.
	BOS string
	// Client reaches it; nil means a client with the recorder's time-out.
	Client *http.Client
}

// reportTimeout is how long a node waits for an answer to its report.
const reportTimeout = 30 * time.Second

// New makes an empty world.
func New(cfg Config) *World {
	w := &World{bos: cfg.BOS, client: cfg.Client, clock: newSchedule()}
	if w.client == nil {
		w.client = &http.Client{Timeout: reportTimeout}
	}
	w.load(&document{values: map[string]any{}, nodes: newTable()})
	return w
}

// Close stops the nodes and waits for reports that are under way.
func (w *World) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.clock.close()
	w.reporting.Wait()
}

// SetBOS says where nodes report from now on.
func (w *World) SetBOS(url string, client *http.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bos = url
	if client != nil {
		w.client = client
	}
}

// Load begins a new world from a document; what the old one had planned does
// not happen any more.
func (w *World) Load(doc []byte) error {
	d, err := parse(doc)
	if err != nil {
		return fmt.Errorf("read a world's document: %w", err)
	}
	w.load(d)
	return nil
}

func (w *World) load(d *document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.restart()
	w.generation++
	w.doc, w.groups, w.partitions, w.objects = d.values, d.groups, d.partitions, d.objects
	w.defaults = map[string]any{
		"power_delay": json.Number("0.5"), "boot_delay": json.Number("1.5"),
		"off_delay": json.Number("0.5"), "configure_delay": json.Number("1.0"),
	}
	if more, ok := d.values["defaults"].(map[string]any); ok {
		maps.Copy(w.defaults, more)
	}
	w.nodes = newTable()
	for _, id := range d.nodes.names() {
		more, _ := clone(d.nodes.get(id)).(map[string]any)
		w.nodes.set(id, newNode(more))
	}
	w.generate()
	w.cfs = map[string]map[string]any{}
	for _, id := range w.nodes.names() {
		if !truth(w.node(id)["missing_cfs"]) {
			w.cfs[id] = map[string]any{
				"id": id, "desired_config": "", "enabled": false, "error_count": json.Number("0"), "retry_policy": json.Number("3"),
				"configuration_status": "unconfigured", "state": []any{}, "tags": map[string]any{},
			}
		}
	}
	w.bss, w.transitions, w.calls = map[string]map[string]any{}, map[string]transition{}, nil
	w.images = map[string]any{}
	if images, ok := d.values["ims_images"].(map[string]any); ok {
		w.images = clone(images).(map[string]any)
	}
}

// newNode is a node as it is unless its document says otherwise.
func newNode(more map[string]any) map[string]any {
	n := map[string]any{"State": "Ready", "Enabled": true, "Role": "Compute", "Arch": "X86", "power": "off", "locked": false}
	maps.Copy(n, more)
	return n
}

// generate adds the nodes that are described by their number.
func (w *World) generate() {
	rows, _ := w.doc["generate"].([]any)
	for _, row := range rows {
		r, _ := row.(map[string]any)
		pattern, _ := r["pattern"].(string)
		more, _ := r["node"].(map[string]any)
		for i := range int(number(r["count"])) {
			id := strings.NewReplacer("{i}", strconv.Itoa(i), "{c}", strconv.Itoa(i/256), "{s}", strconv.Itoa(i/4%64), "{n}", strconv.Itoa(i%4)).Replace(pattern)
			w.nodes.set(id, newNode(more))
		}
	}
}

// Patch changes knobs of nodes and of the defaults. A node that there is not is
// an error.
func (w *World) Patch(nodes map[string]map[string]any, defaults map[string]any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, knobs := range nodes {
		n, ok := w.nodes.get(id).(map[string]any)
		if !ok {
			return fmt.Errorf("there is no node %s in this world", id)
		}
		maps.Copy(n, knobs)
	}
	maps.Copy(w.defaults, defaults)
	return nil
}

// Calls returns what the services were asked since the document was loaded or
// the log was cleared.
func (w *World) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Call{}, w.calls...)
}

// ClearLog forgets the calls so far.
func (w *World) ClearLog() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
}

// later has something done after a time, with the lock held, unless another
// document was loaded meanwhile. The caller holds the lock.
func (w *World) later(d time.Duration, do func()) {
	generation := w.generation
	w.clock.after(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.generation == generation {
			do()
		}
	})
}

// note records a call.
func (w *World) note(c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.T = math.Round(float64(time.Now().UnixNano())/1e6) / 1e3
	w.calls = append(w.calls, c)
}

// node returns a node; the request is not answered if there is none. The caller
// holds the lock.
func (w *World) node(id string) map[string]any {
	n, ok := w.nodes.get(id).(map[string]any)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	return n
}

// visible are the nodes that HSM knows. The caller holds the lock.
func (w *World) visible() []string {
	var ids []string
	for _, id := range w.nodes.names() {
		if !truth(w.node(id)["missing_hsm"]) {
			ids = append(ids, id)
		}
	}
	return ids
}
