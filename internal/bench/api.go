// SPDX-License-Identifier: MIT

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	// connections is how many clients there are in the rows that say so.
	connections = 16
	// mostRead bounds the bytes that a row of lists reads in all its rounds.
	mostRead = 4 << 30
)

// reads measures the reading rows.
func (r *run) reads(ctx context.Context) error {
	for _, list := range []struct{ row, path string }{
		{rowListAll, "/v2/components"},
		{rowListSession, "/v2/components?session=" + benchSession},
		{rowListNone, "/v2/components?enabled=true&status=power_on_pending,power_on_called"},
	} {
		if !r.cfg.wants(list.row) {
			continue
		}
		if err := r.list(ctx, list.row, list.path); err != nil {
			return err
		}
	}
	if !r.cfg.wants(rowGetOne) {
		return nil
	}
	r.say("%s", rowGetOne)
	path := "/v2/components/" + r.ids[0]
	if err := r.giveBare(ctx, path); err != nil {
		return err
	}
	calls := func(t *target) func() (float64, error) {
		return func() (float64, error) {
			return t.rate(ctx, connections, r.cfg.Calls, func(ctx context.Context, l *line, _, _ int) error {
				return l.send(ctx, http.MethodGet, path, nil)
			})
		}
	}
	return r.add(inTurn(rowGetOne, r.cfg.Rounds, calls(r.bos), calls(r.bare)))
}

// list measures one list, beside a handler that writes the same bytes.
func (r *run) list(ctx context.Context, name, path string) error {
	r.say("%s", name)
	if err := r.giveBare(ctx, path); err != nil {
		return err
	}
	var length int64
	calls := func(t *target) func() (float64, error) {
		return func() (float64, error) {
			return took(func() error {
				return t.do(ctx, http.MethodGet, path, nil, func(body io.Reader) error {
					counted := &counter{in: body}
					err := discard(counted)
					length = counted.n
					return err
				})
			})
		}
	}
	if _, err := calls(r.bos)(); err != nil {
		return err
	}
	if name == rowListAll {
		r.size.Bytes = int(length)
	}
	rounds := max(1, min(r.cfg.Rounds, int(mostRead/max(1, 2*length))))
	return r.add(inTurn(name, rounds, calls(r.bos), calls(r.bare)))
}

// counter counts what is read.
type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// giveBare gives the bare handler what the server answers at a path.
func (r *run) giveBare(ctx context.Context, path string) error {
	body, err := r.bos.get(ctx, path)
	if err != nil {
		return err
	}
	return r.bare.send(ctx, http.MethodPut, path, body)
}

// writes measures the writing rows.
func (r *run) writes(ctx context.Context) error {
	count := min(bulk, len(r.ids))
	round := 0
	body := func(next func() ([]byte, error), method string) func() (float64, error) {
		return func() (float64, error) {
			round++
			body, err := next()
			if err != nil {
				return 0, err
			}
			return took(func() error { return r.bos.send(ctx, method, "/v2/components", body) })
		}
	}
	series := func() (float64, error) { return r.raw.series(ctx, count) }
	for _, w := range []struct {
		row         string
		ours, limit func() (float64, error)
	}{
		{rowPatchBulk, body(func() ([]byte, error) { return patchBody(r.ids[:count], round) }, http.MethodPatch), series},
		{rowPutBulk, body(func() ([]byte, error) { return putBody(r.docs, 0, count, round) }, http.MethodPut), series},
		{
			rowPatchSingle,
			func() (float64, error) { return r.patchSingles(ctx) },
			func() (float64, error) { return r.raw.singles(ctx, r.cfg.Calls) },
		},
	} {
		if !r.cfg.wants(w.row) {
			continue
		}
		r.say("%s", w.row)
		if err := r.add(inTurn(w.row, r.cfg.Rounds, w.ours, w.limit)); err != nil {
			return err
		}
	}
	return nil
}

// patchSingles changes one component after the other over some connections, and
// finds out whether a change was lost.
func (r *run) patchSingles(ctx context.Context) (float64, error) {
	last := make([]string, len(r.ids))
	// What a component has already would not be written again.
	before := r.patched
	r.patched += r.cfg.Calls
	workers := min(connections, len(r.ids))
	slots := len(r.ids) / workers
	perSecond, err := r.bos.rate(ctx, workers, r.cfg.Calls, func(ctx context.Context, l *line, worker, i int) error {
		n := worker + i/workers%slots*workers
		c := changed(before + i)
		body, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode a patch: %w", err)
		}
		last[n] = c.Error
		return l.send(ctx, http.MethodPatch, "/v2/components/"+r.ids[n], body)
	})
	if err != nil {
		return 0, err
	}
	return perSecond, r.nothingLost(ctx, last)
}

// nothingLost compares components with what was last written to them.
func (r *run) nothingLost(ctx context.Context, last []string) error {
	var ids []string
	want := map[string]string{}
	for i, text := range last {
		if text != "" && len(ids) < bulk {
			ids = append(ids, r.ids[i])
			want[r.ids[i]] = text
		}
	}
	var list []struct {
		ID    string `json:"id"`
		Error string `json:"error"`
	}
	data, err := r.bos.get(ctx, "/v2/components?ids="+strings.Join(ids, ","))
	if err != nil {
		return err
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&list); err != nil {
		return fmt.Errorf("read components: %w", err)
	}
	if len(list) != len(ids) {
		return fmt.Errorf("%d of %d components are there", len(list), len(ids))
	}
	for _, c := range list {
		if c.Error != want[c.ID] {
			return fmt.Errorf("a write was lost: component %s shows %q, %q was written and acknowledged", c.ID, c.Error, want[c.ID])
		}
	}
	return nil
}

// add takes a row's outcome.
func (r *run) add(m measured, err error) error {
	if err == nil {
		r.out = append(r.out, m)
	}
	return err
}
