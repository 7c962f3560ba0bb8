// SPDX-License-Identifier: MIT

package bootimage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"

	"bos/internal/bootimage"
	"bos/internal/bos"
	"bos/internal/sim"
	"bos/internal/upstream/call"
	"bos/internal/upstream/ims"
	"bos/internal/upstream/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site starts a simulated site and makes a reader of it.
func site(t *testing.T) (*sim.Site, *bootimage.Reader) {
	t.Helper()
	s := sim.New(sim.Config{Nodes: 1, Seed: 7, TimeScale: 0.001})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	urls := s.URLs()
	objects, err := s3.New(s3.Config{
		Gateway: urls.S3Endpoint, AccessKey: urls.S3AccessKey, SecretKey: urls.S3SecretKey, TimeScale: 0.001,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(objects.Service().Close)
	records := ims.New(call.New(call.Config{Name: "ims", BaseURL: urls.IMS, TimeScale: 0.001}))
	t.Cleanup(records.Service().Close)
	return s, bootimage.New(objects, records, nil)
}

// bucket serves objects, by their keys in the bucket boot-images, over S3.
func bucket(t *testing.T, objects map[string]string) *s3.Client {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("boot-images"); err != nil {
		t.Fatal(err)
	}
	for key, text := range objects {
		meta := map[string]string{"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
		if _, err := backend.PutObject("boot-images", key, meta, strings.NewReader(text), int64(len(text)), nil); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(srv.Close)
	c, err := s3.New(s3.Config{Gateway: srv.URL, AccessKey: "a", SecretKey: "s", TimeScale: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Service().Close)
	return c
}

// entry is one artifact of a manifest.
type entry struct {
	kind       bos.ArtifactType
	path, etag string
}

func (e entry) MarshalJSON() ([]byte, error) {
	link := map[string]string{"type": "s3", "path": e.path, "etag": e.etag}
	return json.Marshal(map[string]any{"type": e.kind, "link": link})
}

// entries are the artifacts of the image "img", in order.
func entries(types ...bos.ArtifactType) []entry {
	out := make([]entry, 0, len(types))
	for _, t := range types {
		out = append(out, entry{t, "s3://boot-images/img/" + t.Name(), "etag-of-" + t.Name()})
	}
	return out
}

func manifest(list []entry) string {
	text, err := json.Marshal(map[string]any{"version": "1.0", "artifacts": list})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// image is the boot set of most tests, with provider sbps.
func image() bos.BootSet {
	return bos.BootSet{
		Path: "s3://boot-images/img/manifest.json", Type: "s3",
		NodeList:       bos.Some([]string{"x3000c0s1b0n0"}),
		RootfsProvider: bos.Some(bos.RootfsProviderSBPS),
	}
}

// script is a site whose answers are written down. Every path that has no
// answer fails the call.
type script struct {
	objects map[string]string
	etags   map[string]string
	sizes   map[string]int64
	errs    map[string]error
	record  ims.Image
	imsErr  error
}

func (s script) Get(_ context.Context, path string, limit int64) ([]byte, s3.ObjectInfo, error) {
	info, err := s.Head(context.Background(), path)
	if err == nil && info.Size > limit {
		err = bos.Errorf(bos.CodeTooLarge, "'%s' is larger than %d bytes", path, limit)
	}
	return []byte(s.objects[path]), info, err
}

func (s script) Head(_ context.Context, path string) (s3.ObjectInfo, error) {
	if err := s.errs[path]; err != nil {
		return s3.ObjectInfo{}, err
	}
	text, ok := s.objects[path]
	if !ok {
		return s3.ObjectInfo{}, bos.Errorf(bos.CodeNotFound, "'%s' does not exist in S3", path)
	}
	size, ok := s.sizes[path]
	if !ok {
		size = int64(len(text))
	}
	return s3.ObjectInfo{ETag: s.etags[path], Size: size}, nil
}

func (s script) Image(context.Context, string) (ims.Image, error) { return s.record, s.imsErr }

// whole is a site with one image that has everything.
func whole() script {
	all := []bos.ArtifactType{bos.ArtifactKernel, bos.ArtifactInitrd, bos.ArtifactRootfs, bos.ArtifactBootParameters}
	s := script{
		objects: map[string]string{"s3://boot-images/img/manifest.json": manifest(entries(all...))},
		etags:   map[string]string{}, sizes: map[string]int64{}, errs: map[string]error{},
		record: ims.Image{ID: "img", Arch: "x86_64"},
	}
	for _, e := range entries(all...) {
		s.objects[e.path], s.etags[e.path] = "console=ttyS0 quiet", `"`+e.etag+`"`
	}
	return s
}

// logged collects a reader's log.
type logged struct{ bytes.Buffer }

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// text is what a user reads of an error; it must not hold what is for the log.
func text(t *testing.T, err error) string {
	t.Helper()
	out := bos.UserText(err)
	for _, inner := range []string{"http://", "127.0.0.1", "dial", "&{", "map[", "0x", "secret"} {
		if strings.Contains(out, inner) {
			t.Errorf("%q holds %q", out, inner)
		}
	}
	return out
}

func code(err error) string {
	if err == nil {
		return "fine"
	}
	return fmt.Sprint(bos.CodeOf(err))
}
