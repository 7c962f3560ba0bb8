// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// The content types of the services' answers.
const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// problemBody is an error answer of HSM, BSS and PCS.
type problemBody struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Status int    `json:"status"`
}

// problem answers with an error body that names the standard title of status.
func problem(w http.ResponseWriter, status int, detail string) {
	body := problemBody{Type: "about:blank", Title: http.StatusText(status), Detail: detail, Status: status}
	reply(w, status, typeProblem, body)
}

// reply answers with v as JSON.
func reply(w http.ResponseWriter, status int, contentType string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	replyBytes(w, status, contentType, b)
}

func replyBytes(w http.ResponseWriter, status int, contentType string, b []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// plain answers with text, as Go's http.Error does.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	replyBytes(w, status, "text/plain; charset=utf-8", []byte(text))
}

// appendString appends s as a JSON string. Names of nodes need no escaping,
// which makes them cheap.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, _ := json.Marshal(s) // a string can always be encoded
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendField appends `,"key":"value"`, nothing where the value is empty.
func appendField(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return appendString(b, value)
}

func appendInt(b []byte, key string, v int64) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, v, 10)
}

func appendBool(b []byte, key string, v bool) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, '"', ':')
	return strconv.AppendBool(b, v)
}
