// SPDX-License-Identifier: MIT

package cluster_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"bos/test/rig"
)

// What clients do with a component.
const (
	opPut    = http.MethodPut
	opPatch  = http.MethodPatch
	opGet    = http.MethodGet
	opDelete = http.MethodDelete
)

// request is what a client asked for: of a component, the value to write.
type request struct {
	op    string
	key   string
	value int
}

// response is what it was told. With unknown nobody knows whether it was done.
type response struct {
	unknown bool
	found   bool
	value   int
}

// nothing is the state of a component that does not exist.
const nothing = -1

// component says how a component answers when one request is carried out after
// the other. Of one whose fate is unknown the answer does not matter; that it may
// not have been done at all is the same as that it was done after all others.
func component() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, o := range history {
				key := o.Input.(request).key
				byKey[key] = append(byKey[key], o)
			}
			var parts [][]porcupine.Operation
			for _, part := range byKey {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return nothing },
		Step: func(state, input, output any) (bool, any) {
			now, in, out := state.(int), input.(request), output.(response)
			exists := now != nothing
			switch in.op {
			case opPut:
				return true, in.value
			case opPatch:
				if !exists {
					return out.unknown || !out.found, now
				}
				return out.unknown || out.found, in.value
			case opDelete:
				return out.unknown || out.found == exists, nothing
			}
			return out.found == exists && (!exists || out.value == now), now
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	}
}

// history is what clients asked and were told, and when.
type history struct {
	begun time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
	done  atomic.Int64
	// lost counts requests whose fate is unknown.
	lost atomic.Int64
}

// ask makes one request of a client to a member and writes it down.
func (h *history) ask(f *fleet, client, member int, in request) {
	var body any
	if in.op == opPut || in.op == opPatch {
		body = map[string]any{"retry_policy": in.value}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	o := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(h.begun))}
	a, err := f.Ask(ctx, member, in.op, "/v2/components/"+in.key, body)
	o.Return = int64(time.Since(h.begun))
	out := response{unknown: err != nil || a.Status >= http.StatusInternalServerError, found: a.OK()}
	switch {
	case out.unknown && in.op == opGet:
		// It has told nothing and changed nothing.
		return
	case out.unknown:
		o.Return = math.MaxInt64
		h.lost.Add(1)
	case in.op == opGet && out.found:
		var c struct {
			RetryPolicy int `json:"retry_policy"`
		}
		if err := a.Into(&c); err != nil {
			f.t.Error(err)
			return
		}
		out.value = c.RetryPolicy
	case !out.found && a.Status != http.StatusNotFound:
		f.t.Errorf("%+v: %d %s", in, a.Status, a.Body)
		return
	}
	o.Output = out
	h.done.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, o)
}

// misfortunes happen to one member at a time until done is closed.
func misfortunes(f *fleet, rng *rand.Rand, done <-chan struct{}) map[string]int {
	counts := map[string]int{}
	pause := func(limit time.Duration) bool {
		select {
		case <-time.After(time.Duration(rng.Int64N(int64(limit)))):
			return true
		case <-done:
			return false
		}
	}
	for pause(2 * time.Second) {
		victim := rng.IntN(3)
		switch rng.IntN(3) {
		case 0:
			counts["killed"]++
			f.Members[victim].Kill()
			pause(2 * time.Second)
			f.Members[victim].Start()
		case 1:
			counts["stopped"]++
			f.Members[victim].Signal(syscall.SIGSTOP)
			pause(5 * time.Second)
			f.Members[victim].Signal(syscall.SIGCONT)
		case 2:
			counts["cut off"]++
			f.Network.Isolate(victim)
			pause(5 * time.Second)
			f.Network.Heal()
		}
		f.Ready(victim)
	}
	return counts
}

// Whatever happens to the members, clients see one order of all that was done:
// no read is older than a write that was acknowledged before it began.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	seconds := rig.Number(t, "TEST_CLUSTER_SECONDS", 15)
	seed := uint64(rig.Number(t, "TEST_CLUSTER_SEED", int(time.Now().UnixNano()&0xffffff)+1))
	t.Logf("seed %d", seed)
	h := &history{begun: time.Now()}
	end := make(chan struct{})
	time.AfterFunc(time.Duration(seconds)*time.Second, func() { close(end) })
	var clients sync.WaitGroup
	var values atomic.Int64
	for client := range 8 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(client)))
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-time.After(time.Duration(rng.Int64N(int64(20 * time.Millisecond)))):
				}
				// A component is in use for some seconds only, so that what is unknown of
				// it stays little.
				age := int(time.Since(h.begun).Seconds()) / 3
				in := request{key: fmt.Sprintf("linear%d-%d", age, rng.IntN(4)), value: int(values.Add(1))}
				in.op = []string{opPut, opPatch, opPatch, opGet, opGet, opGet, opDelete}[rng.IntN(7)]
				h.ask(f, client, rng.IntN(3), in)
			}
		})
	}
	counts := misfortunes(f, rand.New(rand.NewPCG(seed, 99)), end)
	clients.Wait()
	result, info := porcupine.CheckOperationsVerbose(component(), h.all, 5*time.Minute)
	if result != porcupine.Ok {
		path := t.ArtifactDir() + "/linear.html"
		t.Errorf("%s; %v", result, porcupine.VisualizePath(component(), info, path))
		t.Logf("see %s", path)
	}
	t.Logf("%d requests, %d of unknown fate, %v: %s", h.done.Load(), h.lost.Load(), counts, result)
}
