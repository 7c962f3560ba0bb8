// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// impatience is why a request is given up that took too long.
type impatience struct {
	limit time.Duration
}

func (i *impatience) Error() string { return fmt.Sprintf("no answer within %v", i.limit) }

// patience gives a request up when the server keeps us waiting too long. Time
// in which nothing is awaited doesn't count: who reads a list in a pager may
// take an hour.
type patience struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer
}

// newPatience begins to wait.
func newPatience(ctx context.Context, limit time.Duration) *patience {
	p := &patience{limit: limit}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	if limit > 0 {
		p.timer = time.AfterFunc(limit, func() { p.cancel(&impatience{limit}) })
	}
	return p
}

// wait begins to wait again.
func (p *patience) wait() {
	if p.timer != nil {
		p.timer.Reset(p.limit)
	}
}

// rest stops waiting for now.
func (p *patience) rest() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// end stops waiting for good.
func (p *patience) end() {
	p.rest()
	p.cancel(nil)
}

// arriving is the body of an answer.
type arriving struct {
	body     io.ReadCloser
	client   *Client
	patience *patience
}

func (a *arriving) Read(p []byte) (int, error) {
	a.patience.wait()
	n, err := a.body.Read(p)
	a.patience.rest()
	if err != nil && !errors.Is(err, io.EOF) {
		err = a.client.connectionError(a.patience.ctx, err)
	}
	return n, err
}

func (a *arriving) Close() error {
	a.patience.end()
	return a.body.Close()
}
