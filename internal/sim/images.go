// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// bucket holds the artifacts of all images.
const bucket = "boot-images"

// Image is an image of IMS with its artifacts in S3.
type Image struct {
	// ID is the image's id in IMS, a UUID in lower case.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Arch is x86_64 or aarch64.
	Arch string `json:"arch"`
	// ManifestPath is the s3 link of the manifest.
	ManifestPath string `json:"manifest_path"`
	// ETag is the manifest's, without quotes.
	ETag string `json:"etag"`
}

// objectStore is S3.
type objectStore struct {
	backend *s3mem.Backend
	handler http.Handler
}

func newObjectStore() *objectStore {
	backend := s3mem.New()
	return &objectStore{
		backend: backend,
		handler: gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server(),
	}
}

func (s *Site) addS3(svc *service) {
	svc.routes = []route{{"*", "/**", func(w http.ResponseWriter, q *req) {
		s.objects.handler.ServeHTTP(w, q.again())
	}}}
}

// objectMeta is what S3 keeps beside an object: clients insist on its time.
func objectMeta() map[string]string {
	return map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}
}

// put stores an object and returns its ETag without quotes. It fails only where
// the bucket is missing.
func (o *objectStore) put(key string, data []byte) (string, error) {
	_, err := o.backend.PutObject(bucket, key, objectMeta(), bytes.NewReader(data), int64(len(data)), nil)
	if err != nil {
		return "", fmt.Errorf("put %s into %s: %w", key, bucket, err)
	}
	head, err := o.backend.HeadObject(bucket, key)
	if err != nil {
		return "", fmt.Errorf("look at %s in %s: %w", key, bucket, err)
	}
	return hex.EncodeToString(head.Hash), nil
}

// kernelExists reports whether a node could load this kernel; what is not in
// S3 is taken to be there.
func (s *Site) kernelExists(link string) bool {
	path, ok := strings.CutPrefix(link, "s3://")
	if !ok {
		return true
	}
	name, key, _ := strings.Cut(path, "/")
	_, err := s.objects.backend.HeadObject(name, key)
	return err == nil
}

// The artifact types of a manifest.
const (
	artifactKernel = "application/vnd.cray.image.kernel"
	artifactInitrd = "application/vnd.cray.image.initrd"
	artifactRootfs = "application/vnd.cray.image.rootfs.squashfs"
	artifactParams = "application/vnd.cray.image.parameters.boot"
)

// link is where an artifact is.
type link struct {
	Type string `json:"type"`
	Path string `json:"path"`
	ETag string `json:"etag"`
}

// layOutImages makes two images for x86_64 and one for aarch64.
func (s *Site) layOutImages() {
	if err := s.objects.backend.CreateBucket(bucket); err != nil {
		panic(err) // a new store has no bucket
	}
	for i, in := range []struct{ name, arch string }{
		{"bos-image-a", "x86_64"},
		{"bos-image-b", "x86_64"},
		{"bos-image-arm", "aarch64"},
	} {
		var seed [16]byte
		binary.BigEndian.PutUint64(seed[:8], mix(s.cfg.Seed^mix(uint64(purposeImage)<<32|uint64(i))))
		binary.BigEndian.PutUint64(seed[8:], mix(s.cfg.Seed^mix(uint64(purposeImage)<<32|uint64(i+100))))
		id := uuid.NewSHA1(uuid.NameSpaceOID, seed[:]).String()
		img, err := s.newImage(id, in.name, in.arch)
		if err != nil {
			panic(err) // the bucket was created above
		}
		s.images = append(s.images, img)
	}
}

// newImage stores an image's artifacts and their manifest.
func (s *Site) newImage(id, name, arch string) (*image, error) {
	type artifact struct {
		Type string `json:"type"`
		MD5  string `json:"md5"`
		Link link   `json:"link"`
	}
	var artifacts []artifact
	for _, part := range []struct{ typ, file, data string }{
		{artifactRootfs, "rootfs", "squashfs of " + name + " " + id},
		{artifactKernel, "kernel", "kernel of " + name + " " + id},
		{artifactInitrd, "initrd", "initrd of " + name + " " + id},
		{artifactParams, "boot_parameters", "console=ttyS0,115200 ip=dhcp quiet crashkernel=512M image=" + name + "\n"},
	} {
		key := id + "/" + part.file
		etag, err := s.objects.put(key, []byte(part.data))
		if err != nil {
			return nil, err
		}
		artifacts = append(artifacts, artifact{part.typ, etag, link{"s3", "s3://" + bucket + "/" + key, etag}})
	}
	manifest := encoded(map[string]any{"version": "1.0", "created": "2026-01-02 03:04:05", "artifacts": artifacts})
	etag, err := s.objects.put(id+"/manifest.json", manifest)
	if err != nil {
		return nil, err
	}
	return &image{
		ID: id, Name: name, Arch: arch, Created: "2026-01-02T03:04:05.678901", Metadata: map[string]string{},
		Link: &link{"s3", "s3://" + bucket + "/" + id + "/manifest.json", etag},
	}, nil
}

// Images returns the images that IMS has, the deleted ones apart: at least two
// for x86_64, then one for aarch64.
func (s *Site) Images() []Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Image
	for _, img := range s.images {
		if img.deleted {
			continue
		}
		shown := Image{ID: img.ID, Name: img.Name, Arch: img.Arch}
		if img.Link != nil {
			shown.ManifestPath, shown.ETag = img.Link.Path, img.Link.ETag
		}
		out = append(out, shown)
	}
	return out
}

// deleteArtifacts moves what belongs to an image below deleted/, as IMS does.
func (s *Site) deleteArtifacts(id string) {
	list, err := s.objects.backend.ListBucket(bucket, &gofakes3.Prefix{HasPrefix: true, Prefix: id + "/"},
		gofakes3.ListBucketPage{})
	if err != nil {
		return
	}
	for _, o := range list.Contents {
		if _, err := s.objects.backend.CopyObject(bucket, o.Key, bucket, "deleted/"+o.Key, objectMeta()); err == nil {
			_, _ = s.objects.backend.DeleteObject(bucket, o.Key)
		}
	}
}

// image is an image as IMS shows it.
type image struct {
	Arch     string            `json:"arch"`
	Created  string            `json:"created"`
	ID       string            `json:"id"`
	Link     *link             `json:"link"`
	Metadata map[string]string `json:"metadata"`
	Name     string            `json:"name"`
	deleted  bool
}

// shown returns the record as JSON; the lock must be held.
func (img *image) shown() json.RawMessage { return encoded(img) }
