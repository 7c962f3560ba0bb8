// SPDX-License-Identifier: MIT

// Package bootimage finds out what a boot set boots: the image's manifest and
// artifacts are in S3, its record is in IMS. It asks them anew each time; the
// rules about what it finds are those of package bos.
package bootimage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"bos/internal/bos"
	"bos/internal/upstream/ims"
	"bos/internal/upstream/s3"
)

// Objects reads objects by paths of the form s3://bucket/key. Errors have
// [bos.CodeNotFound] if there is no such object, [bos.CodeTooLarge] if it is
// longer than limit bytes, and [bos.CodeUnavailable] if S3 is away.
type Objects interface {
	Get(ctx context.Context, path string, limit int64) ([]byte, s3.ObjectInfo, error)
	Head(ctx context.Context, path string) (s3.ObjectInfo, error)
}

// Records returns the records of images. Errors have [bos.CodeNotFound] if
// there is no such image, and [bos.CodeUnavailable] if IMS is away.
type Records interface {
	Image(ctx context.Context, id string) (ims.Image, error)
}

// The services, as errors name them.
const (
	serviceS3  = "s3"
	serviceIMS = "ims"
)

// Reader finds out what boot sets boot. It is safe for concurrent use.
type Reader struct {
	objects Objects
	records Records
	log     *slog.Logger
}

// New makes a reader. records is nil (the interface, not a nil pointer in it)
// at a site without IMS; log may be nil.
func New(objects Objects, records Records, log *slog.Logger) *Reader {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Reader{objects: objects, records: records, log: log}
}

// manifest reads the manifest of a boot set's image. Errors name its path.
func (r *Reader) manifest(ctx context.Context, set *bos.BootSet) (bos.Manifest, error) {
	if set.Type != bos.TypeS3 {
		return bos.Manifest{}, bos.Errorf(bos.CodeInvalid, "type '%s' is not supported; %s is", set.Type, bos.TypeS3)
	}
	data, info, err := r.objects.Get(ctx, set.Path, bos.MaxManifest)
	if err != nil {
		return bos.Manifest{}, about(set.Path, answer(serviceS3, err))
	}
	r.compareETags(ctx, set.Path, "boot set", set.ETag.Value(), info)
	m, err := bos.ParseManifest(data)
	if err != nil {
		return bos.Manifest{}, about(set.Path, err)
	}
	return m, nil
}

// compareETags logs that an object is not the one that somebody meant. Images
// are rebuilt in place often enough that it keeps nothing from booting.
func (r *Reader) compareETags(ctx context.Context, path, by, expected string, found s3.ObjectInfo) {
	expected, etag := strings.Trim(expected, `"`), strings.Trim(found.ETag, `"`)
	if expected == "" || expected == etag {
		return
	}
	r.log.WarnContext(ctx, "an object in S3 has another ETag than expected",
		slog.String("path", path), slog.String("expected_by", by),
		slog.String("expected", expected), slog.String("found", etag))
}

// answer gives an error without a code one: a question that was given up before
// its answer came says nothing about what was asked for, and must be asked
// again.
func answer(service string, err error) error {
	if _, ok := errors.AsType[*bos.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return bos.Unavailable(service, err)
	}
	return &bos.Error{
		Code: bos.CodeInternal, Message: fmt.Sprintf("%s could not be asked; the service's log says more", service), Err: err,
	}
}

// about makes an error's message name the object that it is about.
func about(path string, err error) error {
	e, ok := errors.AsType[*bos.Error](err)
	if !ok || strings.Contains(e.Message, path) {
		return err
	}
	named := *e
	named.Message = fmt.Sprintf("'%s': %s", path, e.Message)
	return &named
}
