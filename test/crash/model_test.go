// SPDX-License-Identifier: MIT

package crash_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bos/test/rig"
)

// absent is what a document holds that does not exist.
const absent = -1

// document is something in the store that one client writes, and what is known
// of it: the value that was acknowledged last, and those of later writes whose
// fate nobody knows.
type document struct {
	put, get, drop func(ctx context.Context, value int) (rig.Answer, error)
	// value reads the value out of an answer.
	value func(rig.Answer) (int, error)

	acknowledged int
	unknown      []int
}

// model is clients that write documents, and check what they read.
type model struct {
	t       *testing.T
	api     *rig.API
	acked   atomic.Int64
	checked atomic.Int64
	stop    chan struct{}
	running sync.WaitGroup
}

// wait gives a server that has just died a moment.
const wait = 20 * time.Millisecond

func newModel(t *testing.T, api *rig.API) *model {
	m := &model{t: t, api: api, stop: make(chan struct{})}
	for i := range 4 {
		m.running.Go(func() { m.client(m.component(i)) })
		m.running.Go(func() { m.client(m.template(i)) })
	}
	m.running.Go(func() { m.client(m.session()) })
	m.running.Go(func() { m.client(m.option()) })
	return m
}

// end stops the clients; each has checked its document once more then.
func (m *model) end() {
	close(m.stop)
	m.running.Wait()
}

func (m *model) call(method, path string, body func(value int) any) func(context.Context, int) (rig.Answer, error) {
	return func(ctx context.Context, value int) (rig.Answer, error) {
		var b any
		if body != nil {
			b = body(value)
		}
		return m.api.Try(ctx, method, path, b)
	}
}

func (m *model) component(i int) *document {
	path := fmt.Sprintf("/v2/components/crash%d", i)
	return &document{
		acknowledged: absent,
		put:          m.call(http.MethodPut, path, func(v int) any { return map[string]any{"retry_policy": v} }),
		get:          m.call(http.MethodGet, path, nil), drop: m.call(http.MethodDelete, path, nil),
		value: func(a rig.Answer) (int, error) {
			var c struct {
				RetryPolicy int `json:"retry_policy"`
			}
			return c.RetryPolicy, a.Into(&c)
		},
	}
}

func (m *model) template(i int) *document {
	path := fmt.Sprintf("/v2/sessiontemplates/crash%d", i)
	return &document{
		acknowledged: absent,
		put: m.call(http.MethodPut, path, func(v int) any {
			return map[string]any{"description": fmt.Sprint(v), "boot_sets": map[string]any{
				"all": map[string]any{"type": "s3", "path": "s3://boot-images/1/manifest.json", "node_list": []string{"x1"}},
			}}
		}),
		get: m.call(http.MethodGet, path, nil), drop: m.call(http.MethodDelete, path, nil),
		value: func(a rig.Answer) (v int, err error) {
			var t struct{ Description string }
			if err := a.Into(&t); err != nil {
				return 0, err
			}
			_, err = fmt.Sscan(t.Description, &v)
			return v, err
		},
	}
}

// session is one that is complete, so that no operator touches it: what is
// written is its list of components.
func (m *model) session() *document {
	const path = "/v2/sessions/crash"
	return &document{
		acknowledged: absent,
		put: func(ctx context.Context, v int) (rig.Answer, error) {
			created, err := m.api.Try(ctx, http.MethodPost, "/v2/sessions",
				map[string]any{"name": "crash", "operation": "shutdown", "template_name": "victim", "stage": true})
			if err != nil || !created.OK() && created.Status != http.StatusConflict {
				return created, err
			}
			return m.api.Try(ctx, http.MethodPatch, path, map[string]any{
				"components": fmt.Sprintf("written-%d", v), "status": map[string]any{"status": "complete", "end_time": "2026-11-25T00:00:00"},
			})
		},
		get: m.call(http.MethodGet, path, nil), drop: m.call(http.MethodDelete, path, nil),
		value: func(a rig.Answer) (v int, err error) {
			var s struct{ Components string }
			if err := a.Into(&s); err != nil {
				return 0, err
			}
			if n, _ := fmt.Sscanf(s.Components, "written-%d", &v); n == 0 {
				// Set-up may have come between the two writes.
				return created, nil
			}
			return v, nil
		},
	}
}

// created is a session whose first write alone got through.
const created = -2

func (m *model) option() *document {
	return &document{
		acknowledged: 3,
		put:          m.call(http.MethodPatch, "/v2/options", func(v int) any { return map[string]any{"default_retry_policy": 3, "ims_read_timeout": 10 + v%1000} }),
		get:          m.call(http.MethodGet, "/v2/options", nil),
		value: func(a rig.Answer) (int, error) {
			var o struct {
				IMSReadTimeout int `json:"ims_read_timeout"`
			}
			return o.IMSReadTimeout, a.Into(&o)
		},
	}
}

// client writes a document, deletes it, and reads it, for as long as the test
// wants it.
func (m *model) client(d *document) {
	if d.drop == nil {
		// Options are always there.
		a, err := m.api.Retry(context.Background(), http.MethodGet, "/v2/options", nil)
		if err == nil {
			d.acknowledged, err = d.value(a)
		}
		if err != nil {
			m.t.Error(err)
			return
		}
	}
	for n := 1; ; n++ {
		select {
		case <-m.stop:
			m.check(d)
			return
		default:
		}
		m.write(d, n)
		m.check(d)
	}
}

// write makes one change.
func (m *model) write(d *document, n int) {
	value, call := n, d.put
	if d.drop != nil && n%7 == 0 {
		value, call = absent, d.drop
	}
	if d.drop == nil {
		value = 10 + n%1000
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, err := call(ctx, n)
	switch {
	case err == nil && (a.OK() || value == absent && a.Status == http.StatusNotFound):
		d.acknowledged, d.unknown = value, nil
		m.acked.Add(1)
	case err == nil && a.Status < http.StatusInternalServerError:
		m.t.Errorf("a write was refused: %d %s", a.Status, a.Body)
	default:
		d.unknown = append(d.unknown, value)
		time.Sleep(wait)
	}
}

// check reads the document: it must be what was acknowledged last, or what one
// of the later writes has made of it.
func (m *model) check(d *document) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		a, err := d.get(ctx, 0)
		if err != nil || a.Status >= http.StatusInternalServerError {
			if ctx.Err() != nil {
				m.t.Errorf("a document can't be read any more: %v %d %s", err, a.Status, a.Body)
				return
			}
			time.Sleep(wait)
			continue
		}
		got := absent
		if a.Status != http.StatusNotFound {
			if got, err = d.value(a); err != nil {
				m.t.Error(err)
				return
			}
		}
		m.checked.Add(1)
		half := got == created && len(d.unknown) > 0
		if got != d.acknowledged && !slices.Contains(d.unknown, got) && !half {
			m.t.Errorf("acknowledged %d, not known of %v, but there is %d: %s", d.acknowledged, d.unknown, got, a.Body)
		}
		if !half {
			// An earlier write that was on its way can't come later any more: the
			// process that had it is dead, or has answered.
			d.acknowledged, d.unknown = got, nil
		}
		return
	}
}
