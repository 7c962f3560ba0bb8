// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"bos/internal/client"
)

const (
	// pollInterval is how often a server is asked that tells nothing by itself.
	pollInterval = 3 * time.Second
	// quietInterval is how long a stream may say nothing before the server is
	// asked all the same: what is between may keep a stream back.
	quietInterval = 10 * time.Second
	// retryLeast and retryMost are how long to wait before connecting again.
	retryLeast, retryMost = time.Second, 30 * time.Second
	// frame is how often a live picture is drawn at most.
	frame = 250 * time.Millisecond
)

// tellsNothing is said of a server without events.
const tellsNothing = "the server tells no events"

// errDone ends following: there is nothing more to come.
var errDone = errors.New("done")

// follower listens to the events of a server for as long as it takes: it
// connects anew where the last connection broke off, and asks from time to time
// where the server has no events to listen to.
type follower struct {
	bos   *client.Client
	query url.Values
	// interval is between two questions to a server without events, and quiet
	// how long one with events may be silent before it is asked.
	interval, quiet time.Duration
	// fetch asks how things are. An error of the connection is passed over.
	fetch func(context.Context) error
	// tell takes what the server tells, and notice what there is to say of the
	// connection: empty once all is well again. draw is called from time to
	// time if it is not nil. Any of them ends all with an error.
	tell   func(client.Message) error
	notice func(string) error
	draw   func() error
	// away says that the server could not be asked the last time.
	away bool
}

// heard is what the listening part has heard.
type heard struct {
	message client.Message
	// text is what there is to say of the connection, if anything.
	text string
	// deaf says that the server has no events; err, that all is lost.
	deaf bool
	err  error
}

// run follows until it is told to end. It calls the functions one at a time.
func (f *follower) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	news, ended := make(chan heard), make(chan struct{})
	go func() {
		defer close(ended)
		f.listen(ctx, news)
	}()
	err := f.loop(ctx, news)
	cancel()
	<-ended
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

func (f *follower) loop(ctx context.Context, news <-chan heard) error {
	var frames <-chan time.Time
	if f.draw != nil {
		ticker := time.NewTicker(frame)
		defer ticker.Stop()
		frames = ticker.C
	}
	wait := f.quiet
	if err := f.ask(ctx); err != nil {
		return err
	}
	quiet := time.NewTimer(wait)
	defer quiet.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-frames:
			err = f.draw()
		case <-quiet.C:
			err = f.ask(ctx)
			quiet.Reset(wait)
		case h := <-news:
			switch {
			case h.err != nil:
				return h.err
			case h.deaf:
				wait = f.interval
				err = f.notice(fmt.Sprintf("%s; it is asked every %v", tellsNothing, f.interval))
			case h.text != "":
				err = f.notice(h.text)
			default:
				if err = f.notice(""); err == nil {
					err = f.tell(h.message)
				}
			}
			quiet.Reset(wait)
		}
		if err != nil {
			return err
		}
	}
}

// ask asks how things are. A server that can't be reached is asked again later.
func (f *follower) ask(ctx context.Context) error {
	err := f.fetch(ctx)
	if err != nil && passing(err) && ctx.Err() == nil {
		f.away = true
		return f.notice(err.Error())
	}
	if err == nil && f.away {
		f.away = false
		err = f.notice("")
	}
	return err
}

// passing reports whether an error may be gone the next time.
func passing(err error) bool {
	var lost *client.ConnectionError
	var problem *client.Problem
	switch {
	case errors.As(err, &lost):
		return true
	case errors.As(err, &problem):
		return problem.Status >= 500 && problem.Status != http.StatusNotImplemented ||
			problem.Status == http.StatusTooManyRequests || problem.Status == http.StatusRequestTimeout
	}
	return false
}

// listen hands on what the server tells, over as many connections as it takes.
func (f *follower) listen(ctx context.Context, news chan<- heard) {
	send := func(h heard) bool {
		select {
		case news <- h:
			return true
		case <-ctx.Done():
			return false
		}
	}
	after, delay := "", retryLeast
	for ctx.Err() == nil {
		err := f.connect(ctx, &after, func(m client.Message) bool {
			delay = retryLeast
			return send(heard{message: m})
		})
		switch {
		case client.IsUnsupported(err):
			send(heard{deaf: true})
			return
		case !passing(err):
			send(heard{err: err})
			return
		}
		if !send(heard{text: fmt.Sprintf("%v; again in %v", err, delay)}) {
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		delay = min(2*delay, retryMost)
	}
}

// connect listens over one connection until it ends, which is an error.
func (f *follower) connect(ctx context.Context, after *string, hear func(client.Message) bool) error {
	messages, err := f.bos.Follow(ctx, f.query, *after)
	if err != nil {
		return err
	}
	for m, err := range messages {
		if err != nil {
			return err
		}
		if m.ID != "" {
			*after = m.ID
		}
		if !hear(m) {
			return context.Canceled
		}
	}
	return context.Canceled
}
