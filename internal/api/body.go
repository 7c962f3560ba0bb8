// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"bos/internal/api/front"
	"bos/internal/bos"
)

const (
	// mostHeld bounds the bytes of all bodies that are being read or worked on,
	// unless the configuration does.
	mostHeld = 512 << 20
	// retryBodies is what a client is told to wait when they are too many.
	retryBodies = time.Second
	// freeBody is the size up to which a body is never refused for the others.
	freeBody = 1 << 20
	// firstGrowth is how much is set aside for a body that says that it is long;
	// the rest only as it comes.
	firstGrowth = 4 << 20
	// drained is how much of a body that is too long is read and thrown away: a
	// client that is still sending when the connection closes would see a reset
	// in place of the refusal.
	drained = 8 << 20
)

// bodyBudget bounds the memory that the bodies of all requests take together.
type bodyBudget struct {
	held atomic.Int64
	most int64
}

// take reads the body of a request and has it checked. What it returns may be
// used until release is called, which must happen in any case. A request whose
// content type or length is wrong is refused before its body is read. wait is
// how long the HTTP server waits for a body, to tell of it.
func (b *bodyBudget) take(w http.ResponseWriter, r *http.Request, e *endpoint, wait time.Duration) (body []byte, release func(), err error) {
	m, o := &metered{budget: b}, e.operation
	if !o.HasBody() {
		return nil, m.release, nil
	}
	contentType := r.Header.Get("Content-Type")
	if _, err := o.Body(contentType, nil); bos.CodeOf(err) == bos.CodeUnsupportedMedia {
		return nil, m.release, err
	}
	if r.ContentLength > e.maxBody {
		drain(r)
		return nil, m.release, front.TooLarge(e.maxBody, r.ContentLength)
	}
	m.in = http.MaxBytesReader(w, r.Body, e.maxBody)
	var raw bytes.Buffer
	if r.ContentLength > 0 {
		raw.Grow(int(min(r.ContentLength, firstGrowth)) + bytes.MinRead)
	}
	if _, err := raw.ReadFrom(m); err != nil {
		var limit *http.MaxBytesError
		switch {
		case errors.As(err, &limit):
			drain(r)
			err = front.TooLarge(e.maxBody, 0)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = &bos.Error{Code: bos.CodeTooSlow, Err: err, Message: fmt.Sprintf(
				"request body: it did not arrive within %v; %d bytes of it did", wait, m.mine)}
		case bos.CodeOf(err) == bos.CodeInternal:
			err = &bos.Error{Code: bos.CodeInvalid, Message: "request body: it did not arrive as a whole", Err: err}
		}
		return nil, m.release, err
	}
	body, err = o.Body(contentType, raw.Bytes())
	return body, m.release, err
}

// drain reads on so that the client gets to read its answer, unless it waits for
// leave to send.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, drained)
	}
}

// metered counts what is read against the budget.
type metered struct {
	in     io.Reader
	budget *bodyBudget
	mine   int64
}

// Read reads on while the budget lasts. Small bodies always pass.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	m.mine += int64(n)
	if m.budget.held.Add(int64(n)) > m.budget.most && m.mine > freeBody {
		return n, &bos.Error{Code: bos.CodeTooMany, RetryAfter: retryBodies, Message: fmt.Sprintf(
			"the bodies of all requests together have more than %d bytes, and this one more than %d; try again", m.budget.most, freeBody)}
	}
	return n, err
}

func (m *metered) release() {
	m.budget.held.Add(-m.mine)
	m.mine = 0
}
