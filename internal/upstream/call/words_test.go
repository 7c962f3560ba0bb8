// SPDX-License-Identifier: MIT

package call

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	long := strings.Repeat("word ", 200)
	params := "console=ttyS0,115200 root=craycps-s3:s3://boot-images/1/rootfs:etag spire_join_token=${SPIRE_JOIN_TOKEN} quiet"
	tests := []struct {
		name, contentType, body, want string
	}{
		{"problem", "application/problem+json", `{"type":"about:blank","title":"Bad Request","detail":"Missing IDs","status":400}`, "Missing IDs"},
		{"title alone", "application/json", `{"title":"injected","status":400}`, "injected"},
		{"empty detail", "application/json", `{"title":"Not Found","detail":""}`, "Not Found"},
		{"message", "application/json", `{"message":"Failed to decode JSON object: Expecting value: line 1 column 1 (char 0)"}`, "Failed to decode JSON object: Expecting value: line 1 column 1 (char 0)"},
		{"errors", "application/problem+json", `{"detail":"failed validation.","errors":{"metadata":{"operation":["Must be one of: set, remove."],"key":["Missing data."]},"arch":["Bad."]}}`, "failed validation. arch: Bad.; metadata.key: Missing data.; metadata.operation: Must be one of: set, remove."},
		{"errors alone", "application/json", `{"errors":{"name":["Unknown field."]}}`, "name: Unknown field."},
		{"JSON string", "application/json", `"Tenant with name/uuid 'x' not found."` + "\n", "Tenant with name/uuid 'x' not found."},
		{"plain text", "text/plain; charset=utf-8", "token is expired\n", "token is expired"},
		{"no type", "", "no token found", "no token found"},
		{"page", "text/html", "<html><title>502 Bad Gateway</title></html>", ""},
		{"page of the wrong type", "application/json", "<html>", ""},
		{"broken JSON", "application/json", `{"detail":"cut`, ""},
		{"text called JSON", "application/json", "oops", ""},
		{"nothing", "application/json", "", ""},
		{"null", "application/json", "null", ""},
		{"detail is no text", "application/json", `{"detail":{"a":1},"title":"Conflict"}`, "Conflict"},
		{"BSS echo", "application/problem+json", `{"detail":"Key /params/x3000c0s1b0n0 storage of '{` + params + ` {null}}' failed: etcdserver: request is too large"}`, "Key /params/x3000c0s1b0n0 storage of … failed: etcdserver: request is too large"},
		{"BSS echo that is cut", "application/problem+json", `{"detail":"Key /params/x1c0s0b0n0 storage of '{` + params + `"}`, "Key /params/x1c0s0b0n0 storage of …"},
		{"values", "", "macs=[] xnames=[x9c0s0b0n0] bss_referral_token=7507d4a2-e24c", "macs=… xnames=… bss_referral_token=…"},
		{"no values", "", "Need a mac=, name=, or nid= parameter", "Need a mac=, name=, or nid= parameter"},
		{"mac", "", "Unknown MAC 00:11:22:33:44:55 architecture x86", "Unknown MAC 00:11:22:33:44:55 architecture x86"},
		{"Go's network", "", `POST https://127.0.0.63/redfish/v1/Systems/Node0 giving up after 4 attempt(s): Post "https://127.0.0.63/redfish/v1": dial tcp 127.0.0.63:443: connect: connection refused`, "giving up after 4 attempt(s): connect: connection refused"},
		{"Go's time-out", "", `POST https://x1c0s0b0/redfish giving up after 4 attempt(s): Post "https://x1c0s0b0/redfish": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, "giving up after 4 attempt(s): context deadline exceeded"},
		{"Go's resolver", "", "Get \"http://cray-smd/hsm\": dial tcp: lookup cray-smd on 10.16.0.10:53: no such host", "no such host"},
		{"addresses", "", "read tcp 10.0.0.1:1->[fd00::1]:80: reset by api-gw-service-nmn.local:443, cray-smd:27779, [::1]", "reset by"},
		{"Go's decoder", "", "Bad Request: json: cannot unmarshal string into Go struct field BootParams.hosts of type []string", "Bad Request: wrong type in JSON: string"},
		{"Go's types", "", "postgres.Update: data does not exist", "data does not exist"},
		{"Python", "", "redis.exceptions.ConnectionError: Error 111 connecting to cray-cfs-api-db:6379. <Foo object at 0x7f>", "Error 111 connecting to."},
		{"credentials", "", "Bearer abcdefghijkl is no eyJhbGciOi.eyJzdWIi.c2ln", "… is no …"},
		{"one run", "", "key " + strings.Repeat("k", 200), "key …"},
		{"control characters", "", "a\x00b\x1b[31m\r\n c\u202ed", "a b [31m c d"},
		{"not UTF-8", "", "\xff\xfe", ""},
		{"too long", "", long, strings.TrimSpace(long[:299]) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Clean(extractWords(tt.contentType, []byte(tt.body)))
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if again := Clean(got); again != got {
				t.Errorf("cleaning again gives %q", again)
			}
		})
	}
}

func TestRedactIgnoresShortTexts(t *testing.T) {
	if got, want := Clean("error: ro was refused, secret-word too", "ro", "", "secret-word"), "error: ro was refused, … too"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzWords(f *testing.F) {
	f.Add("application/json", `{"detail":"a","errors":{"a":{"b":["c"]}}}`)
	f.Add("text/plain", "dial tcp 10.0.0.1:80: POST http://x/y {a=b}")
	f.Add("", "\"bare\"")
	f.Add("", "['<>']: =\x00\xff …{")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		got := Clean(extractWords(contentType, []byte(body)))
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 300 {
			t.Errorf("%q has %d characters", got, utf8.RuneCountInString(got))
		}
		if strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q has control characters", got)
		}
		if strings.Contains(got, "http://") {
			t.Errorf("%q shows an address", got)
		}
	})
}
