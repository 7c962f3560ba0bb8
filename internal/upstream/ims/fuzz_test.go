// SPDX-License-Identifier: MIT

package ims

import (
	"context"
	"testing"

	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func FuzzAnswers(f *testing.F) {
	upstreamtest.Seed(f, "application/json", `{"id":"a","arch":"x86_64","link":{"path":"s3://b/k"}}`)
	upstreamtest.Seed(f, "application/json", `null`)
	upstreamtest.Seed(f, "application/problem+json", `{"title":"Not Found","errors":{"metadata":{"key":["Missing."]}}}`)
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool) {
		c := New(upstreamtest.Answering("ims", upstreamtest.FuzzAnswer(status, contentType, body, breaks)))
		image, err := c.Image(t.Context(), id)
		upstreamtest.Told(t, "ims", err)
		if err == nil && image.Arch == "" {
			t.Errorf("image %+v", image)
		}
		upstreamtest.Told(t, "ims", c.Tag(t.Context(), id, "k", "v", "attempt"))
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	upstreamtest.NeverEnds(t, "ims", map[string]func(*call.Service) error{
		"image": func(s *call.Service) error { _, err := New(s).Image(context.Background(), id); return err },
	})
}
