// SPDX-License-Identifier: MIT

package front

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"bos/internal/bos"
)

// good bodies, one for each operation that takes one.
const (
	goodTemplate = `{"boot_sets":{"compute":{"path":"s3://b/m.json","type":"s3","node_list":["x1"]}}}`
	goodSession  = `{"operation":"boot","template_name":"t1"}`
)

// accepts fails unless a body is accepted, and returned as it is unless want is
// given.
func accepts(t *testing.T, o *Operation, body string, want ...string) {
	t.Helper()
	raw := []byte(body)
	got, err := o.Body("application/json", raw)
	if err != nil {
		t.Errorf("%s: %v", abbreviate(body), err)
		return
	}
	if len(want) > 0 {
		if string(got) != want[0] {
			t.Errorf("%s: got %s, want %s", abbreviate(body), got, want[0])
		}
		return
	}
	if &got[0] != &raw[0] || len(got) != len(raw) {
		t.Errorf("%s: was copied or cut", abbreviate(body))
	}
}

// refuses fails unless a body is refused with a message.
func refuses(t *testing.T, o *Operation, body, want string) {
	t.Helper()
	got, err := o.Body("application/json", []byte(body))
	if err == nil {
		t.Errorf("%s: was accepted as %s", abbreviate(body), got)
		return
	}
	if message := wantCode(t, err, bos.CodeInvalid); message != want {
		t.Errorf("%s:\n got %s\nwant %s", abbreviate(body), message, want)
	}
}

func abbreviate(text string) string {
	if len(text) > 120 {
		return fmt.Sprintf("%s… (%d bytes)", text[:120], len(text))
	}
	return text
}

func TestContentType(t *testing.T) {
	o := operation(t, "patch_v2_options")
	for contentType, want := range map[string]bos.Code{
		"":                                     "",
		" ":                                    "",
		"application/json":                     "",
		"Application/JSON":                     "",
		"application/json; charset=utf-8":      "",
		"application/json;charset=latin1":      "",
		" application/json ":                   "",
		"application/merge-patch+json":         "",
		"APPLICATION/VND.X+JSON; a=b":          "",
		"text/plain":                           bos.CodeUnsupportedMedia,
		"text/json":                            bos.CodeUnsupportedMedia,
		"application/x-www-form-urlencoded":    bos.CodeUnsupportedMedia,
		"application/jsonp":                    bos.CodeUnsupportedMedia,
		"application/xml":                      bos.CodeUnsupportedMedia,
		"application/json, text/plain":         bos.CodeUnsupportedMedia,
		"application/json/x":                   bos.CodeUnsupportedMedia,
		"application/":                         bos.CodeUnsupportedMedia,
		"json":                                 bos.CodeUnsupportedMedia,
		"; charset=utf-8":                      bos.CodeUnsupportedMedia,
		"multipart/form-data; boundary=+json":  bos.CodeUnsupportedMedia,
		"text/plain; type=application/json":    bos.CodeUnsupportedMedia,
		"application/octet-stream;a=b+json":    bos.CodeUnsupportedMedia,
		"application/vnd.x+json; q=\"a;b\"; c": "",
	} {
		_, err := o.Body(contentType, []byte(`{"clear_stage":true}`))
		if got := bos.CodeOf(err); got != want {
			t.Errorf("%q: got %q, want %q", contentType, got, want)
		}
	}
	// The content type comes before the body.
	_, err := o.Body("text/plain", []byte(`{bad`))
	wantCode(t, err, bos.CodeUnsupportedMedia)
}

func TestBodyThatIsIgnored(t *testing.T) {
	for _, id := range []string{"save_v2_session_status", "get_v2_session", "delete_v2_sessions"} {
		got, err := operation(t, id).Body("text/plain", []byte(`{bad`))
		if got != nil || err != nil {
			t.Errorf("%s: got %q, %v", id, got, err)
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	o := operation(t, "patch_v2_options")
	space := strings.Repeat(" ", int(o.MaxBody())-len(`{"a":1}`))
	accepts(t, o, space+`{"a":1}`)
	_, err := o.Body("application/json", []byte(space+`{"a":1} `))
	if message := wantCode(t, err, bos.CodeTooLarge); message != "request body: must have at most 1 MiB, not 1048577 bytes" {
		t.Error(message)
	}
}

func TestNoBody(t *testing.T) {
	for id, what := range map[string]string{
		"put_v2_sessiontemplate": "an object",
		"post_v2_session":        "an object",
		"put_v2_components":      "an array",
		"patch_v2_components":    "a value",
		"patch_v2_options":       "an object",
	} {
		o := operation(t, id)
		for _, contentType := range []string{"", "application/json"} {
			for _, body := range []string{"", " \n", byteOrderMark} {
				_, err := o.Body(contentType, []byte(body))
				if got := wantCode(t, err, bos.CodeInvalid); got != "request body: "+what+" is required" {
					t.Errorf("%s: %q", id, got)
				}
			}
		}
	}
	refuses(t, operation(t, "post_v2_session"), "null", "request body: must be an object, not null")
	refuses(t, operation(t, "put_v2_components"), "null", "request body: must be an array, not null")
	refuses(t, operation(t, "patch_v2_components"), "null",
		"request body: must be an array of components, or an object with patch and filters")
}

func TestSyntax(t *testing.T) {
	o := operation(t, "patch_v2_options")
	for body, want := range map[string]string{
		`{bad`:                     "line 1, column 2: the name of a member is expected, in double quotes",
		`{`:                        "line 1, column 2: it ends too early",
		`{"a"`:                     "line 1, column 5: it ends too early",
		`{"a" 1}`:                  "line 1, column 6: a colon is expected",
		`{"a":}`:                   "line 1, column 6: a value is expected",
		`{"a":1,}`:                 "line 1, column 8: the name of a member is expected, in double quotes",
		`{"a":1 "b":2}`:            "line 1, column 8: a comma or } is expected",
		`{"a":[1 2]}`:              "line 1, column 9: a comma or ] is expected",
		`{"a":[1,]}`:               "line 1, column 9: a value is expected",
		"{\"a\":1}\n\n x":          "line 3, column 2: nothing more is expected",
		`{"a":1}{"a":1}`:           "line 1, column 8: nothing more is expected",
		`{"a":01}`:                 "line 1, column 7: a comma or } is expected",
		`{"a":+1}`:                 "line 1, column 6: a value is expected",
		`{"a":-}`:                  "line 1, column 7: a digit is expected",
		`{"a":1.}`:                 "line 1, column 8: a digit is expected",
		`{"a":.5}`:                 "line 1, column 6: a value is expected",
		`{"a":1e}`:                 "line 1, column 8: a digit is expected",
		`{"a":0x10}`:               "line 1, column 7: a comma or } is expected",
		`{"a":tru}`:                "line 1, column 6: a value is expected",
		`{"a":True}`:               "line 1, column 6: a value is expected",
		`{"a":nul`:                 "line 1, column 6: a value is expected",
		`{'a':1}`:                  "line 1, column 2: the name of a member is expected, in double quotes",
		`{"a":1/**/}`:              "line 1, column 7: a comma or } is expected",
		`{"a":"x`:                  "line 1, column 8: it ends too early",
		`{"a":"x\`:                 "line 1, column 9: it ends too early",
		"{\"a\":\"x\ny\"}":         "line 1, column 8: a control character in a string must be escaped",
		"{\"a\":\"\x00\"}":         "line 1, column 7: a control character in a string must be escaped",
		`{"a":"\x"}`:               "line 1, column 7: an escape is not valid",
		`{"a":"\u12g4"}`:           "line 1, column 7: an escape is not valid",
		`{"a":"\ud800"}`:           "line 1, column 7: an escape is only half of a surrogate pair",
		`{"a":"\udc00"}`:           "line 1, column 7: an escape is only half of a surrogate pair",
		`{"a":"\ud800\ud8"}`:       "line 1, column 7: an escape is only half of a surrogate pair",
		`{"\ud800x":1}`:            "line 1, column 3: an escape is only half of a surrogate pair",
		"{\"a\":\"é\xff\"}":        "line 1, column 8: a string is not valid UTF-8",
		"{\"\xc3(\":1}":            "line 1, column 3: a string is not valid UTF-8",
		"{\"a\":\"\xed\xa0\x80\"}": "line 1, column 7: a string is not valid UTF-8",
		"\xff\xfe{\x00}\x00":       "line 1, column 1: a value is expected",
		`{"a":NaN}x`:               "line 1, column 10: nothing more is expected",
	} {
		refuses(t, o, body, "request body: not valid JSON at "+want)
	}
}

// NaN and Infinity are refused wherever they are, and what else is wrong is
// told beside them.
func TestNotANumber(t *testing.T) {
	options, session := operation(t, "patch_v2_options"), operation(t, "post_v2_session")
	for _, nan := range []string{"NaN", "Infinity", "-Infinity"} {
		refuses(t, options, `{"a":`+nan+`}`, "a: must not be NaN or Infinity, which are not JSON")
		refuses(t, options, `{"a":[{"b":`+nan+`}]}`, "a: must not be NaN or Infinity, which are not JSON")
		refuses(t, options, `{"a":`+nan+`,"a":1}`,
			"request body: not valid JSON at line 1, column 6: NaN and Infinity are not numbers in JSON")
		refuses(t, options, `{"polling_frequency":`+nan+`}`,
			"polling_frequency: must be an integer, not NaN or Infinity, which are not JSON")
		refuses(t, session, `{"a":`+nan+`}`,
			"a: no such field; operation: a value is required; template_name: a value is required")
	}
	refuses(t, options, `{"a":1e999}`, "a: must be a smaller number")
	refuses(t, options, `{"a":[-1e999]}`, "a: must be a smaller number")
	accepts(t, options, `{"a":1e-999}`)
}

func TestDepth(t *testing.T) {
	o := operation(t, "patch_v2_options")
	nest := func(depth int, left, right string) string {
		return strings.Repeat(left, depth) + "1" + strings.Repeat(right, depth)
	}
	accepts(t, o, nest(100, `{"a":`, "}"))
	accepts(t, o, `{"a":`+nest(99, "[", "]")+"}")
	refuses(t, o, nest(101, `{"a":`, "}"),
		"request body: not valid JSON at line 1, column 501: arrays and objects are nested more than 100 deep")
	refuses(t, o, `{"a":`+nest(100, "[", "]")+"}",
		"request body: not valid JSON at line 1, column 105: arrays and objects are nested more than 100 deep")
	refuses(t, o, strings.Repeat("[", 1_000_000),
		"request body: not valid JSON at line 1, column 101: arrays and objects are nested more than 100 deep")
	refuses(t, operation(t, "post_v2_session"), `{"a":`+strings.Repeat("[", 1_000_000),
		"request body: not valid JSON at line 1, column 105: arrays and objects are nested more than 100 deep")
}

func TestManyMembers(t *testing.T) {
	var body strings.Builder
	for i := range maxMembers + 1 {
		fmt.Fprintf(&body, `,"%d":1`, i)
	}
	tooMany := "{" + body.String()[1:] + "}"
	if _, err := operation(t, "put_v2_component").Body("", []byte(tooMany)); err == nil ||
		!strings.HasSuffix(err.Error(), "an object has more than 65,536 members") {
		t.Error(err)
	}
	// A name that is repeated is one member, however often.
	same := strings.Repeat(`"enabled":1,`, 100_000)
	accepts(t, operation(t, "put_v2_component"), "{"+same+`"enabled":true}`, `{"enabled":true}`)
}

func TestByteOrderMark(t *testing.T) {
	o := operation(t, "put_v2_component")
	accepts(t, o, byteOrderMark+`{"enabled":true}`, `{"enabled":true}`)
	refuses(t, o, byteOrderMark+byteOrderMark+`{"enabled":true}`,
		"request body: not valid JSON at line 1, column 1: a value is expected")
	refuses(t, o, "{"+byteOrderMark+`"enabled":true}`,
		"request body: not valid JSON at line 1, column 2: the name of a member is expected, in double quotes")
}

// Of members of one name the last counts, and only it is checked.
func TestRepeatedNames(t *testing.T) {
	component, options := operation(t, "put_v2_component"), operation(t, "patch_v2_options")
	for body, want := range map[string]string{
		`{"enabled":"x","enabled":true}`:                                            `{"enabled":true}`,
		`{ "enabled" : true , "enabled" : false }`:                                  `{"enabled" : false}`,
		`{"en\u0061bled":1,"enabled":true}`:                                         `{"enabled":true}`,
		`{"enabled":1,"en\u0061bled":true}`:                                         `{"en\u0061bled":true}`,
		`{"error":"a","enabled":true,"error":"b"}`:                                  `{"error":"b","enabled":true}`,
		`{"error":1,"error":2,"error":"c"}`:                                         `{"error":"c"}`,
		`{"id":"x","status":{"x":1},"status":{}}`:                                   `{"id":"x","status":{}}`,
		`{"status":{"phase":"x","phase":""}}`:                                       `{"status":{"phase":""}}`,
		`{"desired_state":{"configuration":"c"},"desired_state":{"bss_token":"t"}}`: `{"desired_state":{"bss_token":"t"}}`,
		`{"error":[{"a":1,"a":2}],"error":"e"}`:                                     `{"error":"e"}`,
	} {
		accepts(t, component, body, want)
	}
	for body, want := range map[string]string{
		`{"x":1,"x":2}`:                                  `{"x":2}`,
		`{"x":{"a":1,"b":2,"a":3}}`:                      `{"x":{"a":3,"b":2}}`,
		`{"x":[{"a":{"b":1,"b":2},"a":{"c":1,"c":2}}]}`:  `{"x":[{"a":{"c":2}}]}`,
		`{"clear_stage":0,"y":1,"clear_stage":true}`:     `{"clear_stage":true,"y":1}`,
		`{"x":"\ud83d\ude00","\u0078":"\\\"","y":[1,2]}`: `{"\u0078":"\\\"","y":[1,2]}`,
		`{"":1,"":2}`: `{"":2}`,
	} {
		accepts(t, options, body, want)
	}
	refuses(t, component, `{"enabled":true,"enabled":"x"}`, "enabled: must be true or false, not a string")
	refuses(t, component, `{"foo":1,"foo":2}`, "foo: no such field")
	refuses(t, component, `{"enabled":true,"enabled":false`, "request body: not valid JSON at line 1, column 32: it ends too early")
	// A repeated boot set replaces the other as a whole, and stays at its place.
	accepts(t, operation(t, "put_v2_sessiontemplate"),
		`{"boot_sets":{"a":{"path":"p"},"b":{"path":"p","type":"s3"},"a":{"type":"t","path":"q"}}}`,
		`{"boot_sets":{"a":{"type":"t","path":"q"},"b":{"path":"p","type":"s3"}}}`)
	// Many names are told apart too.
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `"k%d":%d,`, i, i)
	}
	accepts(t, options, "{"+body.String()+`"k7":"seven"}`,
		strings.Replace("{"+strings.TrimSuffix(body.String(), ",")+"}", `"k7":7`, `"k7":"seven"`, 1))
	// 1,024 names, some of them repeated, are not too many.
	accepts(t, options, "{"+body.String()+body.String()+`"z":1}`, "{"+body.String()+`"z":1}`)
}

func TestBodyDoesNotChangeItsInput(t *testing.T) {
	raw := []byte(byteOrderMark + `{"error":"a","enabled":true,"error":"b\n"}`)
	before := bytes.Clone(raw)
	if _, err := operation(t, "put_v2_component").Body("", raw); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, before) {
		t.Errorf("got %s", raw)
	}
}
