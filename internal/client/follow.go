// SPDX-License-Identifier: MIT

package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	eventsPath = "/v2/events"
	// eventStream is the media type of events as they happen.
	eventStream = "text/event-stream"
	// leastSilence is how long a stream of events may be silent at the least:
	// the server says every 15 seconds that it is there.
	leastSilence = 45 * time.Second
)

// Message is one event of a stream.
type Message struct {
	// ID says where the stream is; it is what a later one resumes after.
	ID string
	// Kind is what happened: session, component, fleet, event or reset.
	Kind string
	// Data is the document about it in JSON.
	Data []byte
}

// Follow asks for events as they happen, after the one with an id; without it
// the stream begins with everything as it is. An answer that is no stream is
// a [*Problem]. The messages end with an error, always: a [*ConnectionError]
// when the connection was lost.
func (c *Client) Follow(ctx context.Context, query url.Values, after string) (iter.Seq2[Message, error], error) {
	header := http.Header{"Accept": {eventStream}}
	if after != "" {
		header.Set("Last-Event-ID", after)
	}
	silence := c.cfg.Timeout
	if silence > 0 {
		silence = max(silence, leastSilence)
	}
	//nolint:bodyclose // the messages that are returned close it
	res, answer, err := c.send(ctx, Request{Method: http.MethodGet, Path: eventsPath, Query: query}, header, silence)
	if err != nil {
		return nil, err
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != eventStream {
		defer answer.Close()
		p := notJSON(res)
		p.Title = statusLine(res) + ", but the answer is not a stream of events"
		p.Status = http.StatusNotAcceptable
		return nil, p
	}
	return func(yield func(Message, error) bool) {
		defer answer.Close()
		in := bufio.NewReaderSize(answer, 64<<10)
		for {
			m, err := readMessage(in)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = c.connectionError(answer.patience.ctx, io.ErrUnexpectedEOF)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}, nil
}

// readMessage reads the next event that has data. Comments keep the connection
// alive and are nothing to tell.
func readMessage(in *bufio.Reader) (Message, error) {
	var m Message
	var data bytes.Buffer
	some, size := false, 0
	for {
		line, err := readLine(in, maxDocument-size)
		if err != nil {
			// An event that is not complete does not count.
			return Message{}, err
		}
		size += len(line)
		if len(line) == 0 {
			if some {
				m.Data = data.Bytes()
				return m, nil
			}
			m, size = Message{}, 0
			continue
		}
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			m.ID = value
		case "event":
			m.Kind = value
		case "data":
			if some {
				data.WriteByte('\n')
			}
			data.WriteString(value)
			some = true
		}
	}
}

// readLine reads a line without its end, of at most so many bytes.
func readLine(in *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > most:
			return nil, fmt.Errorf("an event is longer than %d MiB", maxDocument>>20)
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
