// SPDX-License-Identifier: MIT

package bss

import (
	"context"
	"testing"

	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func FuzzAnswers(f *testing.F) {
	upstreamtest.Seed(f, "text/plain", "")
	upstreamtest.Seed(f, "text/plain", "Hello World!\n")
	upstreamtest.Seed(f, "application/problem+json", `{"title":"Bad Request","detail":"error storing {Hosts:[x1c0s0b0n0] Params:password=hunter2}"}`)
	upstreamtest.Seed(f, "application/json", `[{"name":"x1c0s0b0n0","endpoint":"bootscript","last_epoch":1795417033}]`)
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool) {
		a := upstreamtest.FuzzAnswer(status, contentType, body, breaks)
		err := New(upstreamtest.Answering("bss", a)).PutBootParameters(t.Context(), params("x1c0s0b0n0"), "")
		upstreamtest.Told(t, "bss", err)
		if err == nil {
			t.Error("an answer without a token counts")
		}
		_, err = New(upstreamtest.Answering("bss", a)).ScriptFetched(t.Context(), "x1c0s0b0n0")
		upstreamtest.Told(t, "bss", err)
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	upstreamtest.NeverEnds(t, "bss", map[string]func(*call.Service) error{
		"put": func(s *call.Service) error {
			return New(s).PutBootParameters(context.Background(), params("x1c0s0b0n0"), "")
		},
		"history": func(s *call.Service) error {
			_, err := New(s).ScriptFetched(context.Background(), "x1c0s0b0n0")
			return err
		},
	})
}
