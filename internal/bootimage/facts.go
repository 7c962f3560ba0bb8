// SPDX-License-Identifier: MIT

package bootimage

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

// Facts finds out what the validation of templates wants to know of a boot
// set's image. There is no error: what went wrong is among the facts.
func (r *Reader) Facts(ctx context.Context, set *bos.BootSet) bos.BootSetFacts {
	var facts bos.BootSetFacts
	now, err := r.current(ctx, *set)
	if err == nil {
		set = &now
	}
	var asking sync.WaitGroup
	asking.Go(func() { facts.Image, facts.ImageErr = r.image(ctx, set.Path) })
	if bos.CodeOf(err) == bos.CodeInvalid {
		// Set-up would not get further.
		facts.ManifestErr = err
	} else {
		facts.Manifest, facts.ManifestErr = r.manifest(ctx, set)
	}
	if facts.ManifestErr == nil {
		facts.Objects = r.check(ctx, facts.Manifest)
	}
	asking.Wait()
	return facts
}

// image asks IMS for the record of the image that a path belongs to. Both
// results are unset if the path is not that of an IMS image.
func (r *Reader) image(ctx context.Context, path string) (bos.ImageFacts, error) {
	if r.records == nil {
		return bos.ImageFacts{Unchecked: true}, nil
	}
	id := bos.ImageID(path)
	if id == "" {
		return bos.ImageFacts{}, nil
	}
	record, err := r.records.Image(ctx, id)
	switch {
	case err == nil:
		return bos.ImageFacts{Arch: record.Arch}, nil
	case isNonsense(err):
		return bos.ImageFacts{Nonsense: true}, nil
	default:
		return bos.ImageFacts{}, answer(serviceIMS, err)
	}
}

// isNonsense reports whether a service was there and answered, but not with
// what was asked for.
func isNonsense(err error) bool {
	e, ok := errors.AsType[*call.Error](err)
	return ok && e.Kind == call.Away && e.Status/100 == http.StatusOK/100
}

// check looks for the artifacts that validation asks about and returns why each
// of them can't be read, nil if it can. What is not in the manifest, or twice,
// is left out: the manifest tells that.
func (r *Reader) check(ctx context.Context, m bos.Manifest) map[bos.ArtifactType]error {
	types := []bos.ArtifactType{bos.ArtifactKernel, bos.ArtifactInitrd, bos.ArtifactBootParameters}
	found := make(map[bos.ArtifactType]error, len(types))
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, t := range types {
		artifact, err := m.Find(t)
		if err != nil {
			continue
		}
		asking.Go(func() {
			err := r.head(ctx, t, artifact)
			mu.Lock()
			defer mu.Unlock()
			found[t] = err
		})
	}
	asking.Wait()
	return found
}

// head looks for one artifact. Errors name its path.
func (r *Reader) head(ctx context.Context, t bos.ArtifactType, artifact bos.Artifact) error {
	info, err := r.objects.Head(ctx, artifact.Path)
	if err != nil {
		return about(artifact.Path, answer(serviceS3, err))
	}
	r.compareETags(ctx, artifact.Path, "manifest", artifact.ETag, info)
	if t == bos.ArtifactBootParameters && info.Size > bos.MaxManifest {
		// Set-up would not read it.
		return bos.Errorf(bos.CodeTooLarge, "'%s' is larger than %d bytes", artifact.Path, bos.MaxManifest)
	}
	return nil
}
