// SPDX-License-Identifier: MIT

package ims

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id = "1fb58f4e-ad23-489b-89b7-95868fca7ee6"

func TestImage(t *testing.T) {
	tests := []struct {
		name, body string
		want       Image
		garbage    bool
	}{
		{"whole", `{"arch":"aarch64","created":"2025-01-02T03:04:05.678901","id":"` + id + `","link":{"etag":"f04a","path":"s3://boot-images/1/manifest.json","type":"s3"},"metadata":{},"name":"compute"}`,
			Image{ID: id, Name: "compute", Arch: "aarch64", LinkPath: "s3://boot-images/1/manifest.json", LinkETag: "f04a"}, false},
		{"no link", `{"arch":"x86_64","id":"` + id + `","link":null,"metadata":{"a":"b"},"name":"n"}`, Image{ID: id, Name: "n", Arch: "x86_64"}, false},
		{"null", `{"arch":null,"id":null,"link":{"path":null},"name":null}`, Image{ID: id, Arch: "x86_64"}, false},
		{"bare", `{}`, Image{ID: id, Arch: "x86_64"}, false},
		{"nothing", `null`, Image{}, true},
		{"list", `[]`, Image{}, true},
		{"text", `"image"`, Image{}, true},
		{"number for text", `{"arch":1}`, Image{}, true},
		{"page", `<html>`, Image{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "ims", "/v3", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, tt.body) })
			got, err := New(s.Service).Image(t.Context(), id)
			if diff := cmp.Diff(tt.want, got); diff != "" || call.IsAway(err) != tt.garbage || (err != nil) != tt.garbage {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if target := s.Seen()[0].Target; target != "/images/"+id {
				t.Errorf("asked %s", target)
			}
		})
	}
}

func TestNoSuchImage(t *testing.T) {
	s := upstreamtest.Serve(t, "ims", "/v3", func(w http.ResponseWriter, _ *http.Request) {
		upstreamtest.Problem(w, 404, "Requested resource does not exist. Re-run request with valid ID.")
	})
	c := New(s.Service)
	for _, bad := range []string{"gone", "a/b", "", ".", ".."} {
		_, err := c.Image(t.Context(), bad)
		for _, err := range []error{err, c.Tag(t.Context(), bad, "k", "v", "attempt")} {
			e, ok := errors.AsType[*bos.Error](err)
			if !ok || e.Code != bos.CodeNotFound || e.Message != "IMS image id '"+bad+"' does not exist in IMS" {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
	for _, x := range s.Seen() {
		if x.Target != "/images/gone" && x.Target != "/images/a%2Fb" {
			t.Errorf("asked %s", x.Target)
		}
	}
}

func TestTag(t *testing.T) {
	s := upstreamtest.Serve(t, "ims", "/v3", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, `{"id":"x"}`) })
	if err := New(s.Service).Tag(t.Context(), id, "sbps-project", "true", "attempt"); err != nil {
		t.Fatal(err)
	}
	want := []upstreamtest.Exchange{{
		Method: "PATCH", Target: "/images/" + id, Attempt: "attempt",
		Body: `{"metadata":{"operation":"set","key":"sbps-project","value":"true"}}`,
	}}
	if diff := cmp.Diff(want, s.Seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if err := New(upstreamtest.Silent(t, "ims")).Tag(t.Context(), id, "", "v", "attempt"); bos.CodeOf(err) != bos.CodeInternal {
		t.Errorf("an empty key: %v", err)
	}
}

// What is no answer of IMS does not say that the image is tagged.
func TestTagAnswers(t *testing.T) {
	for _, body := range []string{"", "null", "[]", "<html>Log in</html>"} {
		s := upstreamtest.Serve(t, "ims", "/v3", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, body) })
		if err := New(s.Service).Tag(t.Context(), id, "k", "v", ""); !call.IsAway(err) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestRefusedTag(t *testing.T) {
	s := upstreamtest.Serve(t, "ims", "/v3", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(422)
		upstreamtest.JSON(w, `{"status":422,"title":"Unprocessable Entity","detail":"failed validation.","errors":{"metadata":{"key":["Missing."]}}}`)
	})
	err := New(s.Service).Tag(t.Context(), id, "k", "v", "attempt")
	if !call.IsRefused(err) || call.WordsOf(err) != "failed validation. metadata.key: Missing." {
		t.Errorf("got %v", err)
	}
}

func TestATagMayComeLate(t *testing.T) {
	upstreamtest.Copies(t, "ims", 5, func(ctx context.Context, s *call.Service) error { return New(s).Tag(ctx, "image", "key", "value", "") })
}
