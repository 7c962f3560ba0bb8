// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"bos/internal/admission"
	"bos/internal/bos"
)

// The limits that a request can meet here, as they are counted.
const (
	limitRate     = "rate"
	limitRequests = "requests"
	limitStreams  = "streams"
)

// Limits bound what clients can take of the API; a bound that is 0 or nil is
// none, but for those that say otherwise.
type Limits struct {
	// Requests lets requests in, Streams those of them that follow what happens;
	// Rates counts those of each client.
	Requests *admission.Gate
	Streams  *admission.Gate
	Rates    *admission.Rates
	// HeaderBytes is the largest size of a request's line and header. What is
	// much larger the HTTP server must refuse.
	HeaderBytes int
	// BodiesBytes bounds the bodies of all requests together; 0 means 512 MiB.
	BodiesBytes int64
	// BodyBytes bounds the body of any operation, BodyBytesOf those of some by
	// their operationId. The API's document has bounds too: the least counts.
	BodyBytes   int64
	BodyBytesOf map[string]int64
	// Items bounds the components of a bulk write.
	Items int
	// Timeout bounds the work on requests that write or ask services, TimeoutOf
	// that of some by their operationId.
	Timeout   time.Duration
	TimeoutOf map[string]time.Duration
	// ReadTimeout is the time that the HTTP server gives a request to arrive; it
	// is only shown.
	ReadTimeout time.Duration
}

// apply gives the endpoints their bounds. The error names an operation that
// there is not, or a body that would be larger than the document's.
func (l *Limits) apply(endpoints map[string]*endpoint) error {
	for _, e := range endpoints {
		e.maxBody = e.operation.MaxBody()
		if l.BodyBytes > 0 {
			e.maxBody = min(e.maxBody, l.BodyBytes)
		}
		if e.operation.Method != http.MethodGet || e.operation.ID == "get_v2_sessiontemplatesvalid" {
			e.timeout = l.Timeout
		}
	}
	for id, size := range l.BodyBytesOf {
		switch e := endpoints[id]; {
		case e == nil:
			return fmt.Errorf("the largest body of %q: there is no such operation", id)
		case size > e.operation.MaxBody():
			return fmt.Errorf("the largest body of %s: %d bytes are more than the %d of the API's document", id, size, e.operation.MaxBody())
		default:
			e.maxBody = size
		}
	}
	for id, timeout := range l.TimeoutOf {
		e := endpoints[id]
		if e == nil {
			return fmt.Errorf("the time of %q: there is no such operation", id)
		}
		e.timeout = timeout
	}
	return nil
}

// checkHeader refuses a header that is too large.
func (l *Limits) checkHeader(r *http.Request) error {
	if l.HeaderBytes == 0 {
		return nil
	}
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			// With the colon, the blank and the end of the line.
			size += len(name) + len(value) + 4
		}
	}
	if size <= l.HeaderBytes {
		return nil
	}
	return bos.Errorf(bos.CodeHeaderTooLarge, "the header of the request has %d bytes; at most %d are taken", size, l.HeaderBytes)
}

// checkItems refuses a list that is too long.
func (l *Limits) checkItems(n int) error {
	if l.Items == 0 || n <= l.Items {
		return nil
	}
	return bos.Errorf(bos.CodeTooLarge, "request body: it has %d components; at most %d are taken at once", n, l.Items)
}

// errTimeout is why the work on a request is given up.
var errTimeout = errors.New("the work on the request took too long")

// within has an endpoint answer, within its time.
func (e *endpoint) within(x *exchange) error {
	if e.timeout == 0 {
		return e.handle(x)
	}
	ctx, cancel := context.WithTimeoutCause(x.ctx(), e.timeout, errTimeout)
	defer cancel()
	x.r = x.r.WithContext(ctx)
	err := e.handle(x)
	if err == nil || !errors.Is(context.Cause(ctx), errTimeout) {
		return err
	}
	known := &bos.Error{}
	if errors.As(err, &known) && known.Dependency != "" {
		// Who was waited for is worth more than how long.
		return err
	}
	return &bos.Error{Code: bos.CodeUnavailable, Err: err, Message: fmt.Sprintf(
		"the request was given up: it took longer than %v", e.timeout)}
}
