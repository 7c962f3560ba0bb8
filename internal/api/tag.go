// SPDX-License-Identifier: MIT

package api

import (
	"hash/fnv"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"bos/internal/view"
)

// unchanged gives an answer the tag of what it shows, and reports whether the
// client has the same already: then it was told so (304), and there is nothing
// more to do. What a tenant is shown also depends on which nodes are its own, so
// that it has no tag.
//
// The tag is a weak one, since answers are compressed for those who ask. It
// includes what was asked for: one of another list is not taken for this one's.
func (x *exchange) unchanged(tag view.Tag) bool {
	if x.tenant != "" {
		return false
	}
	asked := fnv.New64a()
	_, _ = asked.Write([]byte(x.r.URL.RequestURI()))
	opaque := `"` + tag.String() + "-" + strconv.FormatUint(asked.Sum64(), 36) + `"`
	x.w.Header().Set("ETag", "W/"+opaque)
	// An answer may be kept, but not used without asking.
	x.w.Header().Set("Cache-Control", "no-cache")
	if !listed(x.r.Header.Values("If-None-Match"), opaque) {
		return false
	}
	x.w.WriteHeader(http.StatusNotModified)
	return true
}

// listed reports whether a tag is among those of a header If-None-Match, by weak
// comparison (RFC 9110, 8.8.3.2 and 13.1.2). None of our tags has a comma in it.
func listed(header []string, opaque string) bool {
	for _, line := range header {
		for one := range strings.SplitSeq(line, ",") {
			one = textproto.TrimString(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == opaque {
				return true
			}
		}
	}
	return false
}
