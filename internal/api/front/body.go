// SPDX-License-Identifier: MIT

package front

import (
	"bytes"
	"strings"

	"bos/internal/bos"
)

// byteOrderMark is the UTF-8 byte order mark, which some clients put in front.
const byteOrderMark = "\xef\xbb\xbf"

// Body checks a body and returns it cleaned: without a byte order mark, and of
// members of one name only the last, at the place of the first. If there is
// nothing to clean that is raw itself, or a part of it. An operation that takes
// no body ignores what it gets and returns nil.
//
// An empty contentType is that of a request without one; its body is taken as
// JSON. The errors are [bos.CodeUnsupportedMedia], [bos.CodeTooLarge] and
// [bos.CodeInvalid].
func (o *Operation) Body(contentType string, raw []byte) ([]byte, error) {
	if o.body == nil {
		return nil, nil
	}
	if !isJSON(contentType) {
		return nil, bos.Errorf(bos.CodeUnsupportedMedia, "header Content-Type: must be application/json or application/*+json")
	}
	if int64(len(raw)) > o.maxBody {
		return nil, TooLarge(o.maxBody, int64(len(raw)))
	}
	body := bytes.TrimPrefix(raw, []byte(byteOrderMark))
	c := checker{scanner: scanner{b: body}}
	if c.document(o.body) {
		return body, nil
	}
	return o.secondLook(body)
}

// TooLarge is the error of a body that is larger than the most that is taken;
// sent is its size in bytes, 0 if that is not known.
func TooLarge(most, sent int64) error {
	if sent == 0 {
		return bos.Errorf(bos.CodeTooLarge, "request body: must have at most %s, and has more", size(most))
	}
	return bos.Errorf(bos.CodeTooLarge, "request body: must have at most %s, not %s", size(most), size(sent))
}

// secondLook finds out what was not right at the first check of a body: it may
// be good after all once repeated members are gone.
func (o *Operation) secondLook(body []byte) ([]byte, error) {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		if !o.bodyNeeded {
			return nil, nil
		}
		return nil, invalid("request body: %s is required", o.body.wanted())
	}
	cleaned, nan, fault, at := clean(body)
	if fault != "" {
		return nil, notJSON(body, fault, at)
	}
	c := checker{scanner: scanner{b: cleaned, lax: true}, report: true}
	good := c.document(o.body)
	switch {
	case len(c.problems) > 0:
		return nil, invalid("%s", strings.Join(c.problems, "; "))
	case nan > 0:
		return nil, notJSON(body, "NaN and Infinity are not numbers in JSON", nan-1)
	case !good:
		return nil, invalid("request body: not accepted")
	}
	return cleaned, nil
}

// wanted says in words what a body has to be.
func (s *schema) wanted() string {
	if s.kind == kindOneOf {
		return "a value"
	}
	return s.wants()
}

// isJSON reports whether a media type is JSON. Its parameters don't matter.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.Trim(media, " \t"))
	if media == "" {
		return strings.Trim(contentType, " \t") == ""
	}
	subtype, ok := strings.CutPrefix(media, "application/")
	if !ok || strings.ContainsAny(subtype, " \t,/") {
		return false
	}
	return subtype == "json" || strings.HasSuffix(subtype, "+json")
}
