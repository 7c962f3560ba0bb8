// SPDX-License-Identifier: MIT

package admission

import (
	"fmt"
	"sync/atomic"
	"time"

	"bos/internal/bos"
)

// retryBusy is what a client is told to wait when the server is busy.
const retryBusy = time.Second

// Gate bounds the requests that are worked on at the same moment.
type Gate struct {
	most   int64
	inside atomic.Int64
	// streams says that they are streams, which end when their clients like.
	streams bool
}

// NewGate returns a gate for as many as most requests.
func NewGate(most int) *Gate { return &Gate{most: int64(most)} }

// NewStreams returns a gate for as many as most streams.
func NewStreams(most int) *Gate { return &Gate{most: int64(most), streams: true} }

// retryStreams is what a client is told to wait when there are too many streams.
const retryStreams = 10 * time.Second

// Enter lets a request in, which must Leave if there is no error.
func (g *Gate) Enter() error {
	if g.inside.Add(1) <= g.most {
		return nil
	}
	g.inside.Add(-1)
	if g.streams {
		return &bos.Error{Code: bos.CodeTooMany, RetryAfter: retryStreams, Message: fmt.Sprintf(
			"%d streams of events are open, which is all that are at the same moment; try again in %v", g.most, retryStreams)}
	}
	return &bos.Error{Code: bos.CodeUnavailable, RetryAfter: retryBusy, Message: fmt.Sprintf(
		"%d requests are being worked on, which is all that are at the same moment; try again in %v", g.most, retryBusy)}
}

// Leave is called when a request has ended.
func (g *Gate) Leave() { g.inside.Add(-1) }

// Inside returns how many requests are being worked on.
func (g *Gate) Inside() int { return int(g.inside.Load()) }
