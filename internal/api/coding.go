// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
)

// smallestCoded is the size in bytes from which an answer is compressed. A
// shorter one fits into one packet either way.
const smallestCoded = 1400

// coded lets answers be compressed for those who ask for it (Accept-Encoding),
// with gzip or zstd, whichever they like better; zstd if they like both. The
// quickest level: lists of components shrink to a tenth with it, and the time is
// the service's.
//
// An entity tag stays as it is, so it has to be a weak one: those are the same
// for all codings of a document (RFC 9110, 8.8.1), and what a client sends back
// in If-None-Match is what it was given. Answers that are encoded already, such
// as those of the metrics, pass.
func coded(h http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(smallestCoded), gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.SetContentType(false))
	if err != nil {
		return nil, fmt.Errorf("prepare the compression of answers: %w", err)
	}
	return wrap(h), nil
}
