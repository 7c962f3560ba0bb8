// SPDX-License-Identifier: MIT

package bootimage_test

import (
	"strings"
	"testing"

	"bos/internal/bootimage"
	"bos/internal/bos"
	"bos/internal/sim"
)

// An IMS image is looked up when a template is written, and again when a session
// is set up.
func TestResolve(t *testing.T) {
	s, reader := site(t)
	image := s.Images()[0]
	set := bos.BootSet{IMSImageID: bos.Some(image.ID)}
	got, err := reader.Resolve(t.Context(), set)
	if err != nil || got.Path != image.ManifestPath || got.Type != bos.TypeS3 || got.ETag.Value() != image.ETag {
		t.Fatalf("%+v, %v", got, err)
	}
	if plain, err := reader.Resolve(t.Context(), bos.BootSet{Path: "p", Type: "s3"}); err != nil || plain.Path != "p" {
		t.Errorf("%+v, %v", plain, err)
	}

	// The template was written when the image's manifest was elsewhere.
	old := got
	old.Path, old.ETag = "s3://boot-images/old/manifest.json", bos.Some("old")
	target, err := reader.Target(t.Context(), &bos.Template{}, &old, "4h")
	if err != nil || !strings.Contains(target.BootArtifacts.Kernel.Value(), image.ID) {
		t.Errorf("%+v, %v", target, err)
	}
	if facts := reader.Facts(t.Context(), &old); facts.ManifestErr != nil {
		t.Errorf("facts: %v", facts.ManifestErr)
	}

	for name, id := range map[string]string{"unknown": "8aa29f3f-8b3e-4f7e-9d1d-1f6d3f0e2a11", "odd": "../images"} {
		_, err := reader.Resolve(t.Context(), bos.BootSet{IMSImageID: bos.Some(id)})
		if bos.CodeOf(err) != bos.CodeInvalid || !strings.HasPrefix(bos.UserText(err), "ims_image_id: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := got
	gone.IMSImageID = bos.Some("8aa29f3f-8b3e-4f7e-9d1d-1f6d3f0e2a11")
	if facts := reader.Facts(t.Context(), &gone); facts.ManifestErr == nil {
		t.Error("an image that is gone passes")
	}

	s.InjectService("ims", sim.ServiceFault{Kind: sim.ServiceDown})
	if _, err := reader.Resolve(t.Context(), set); !bos.IsUnavailable(err) {
		t.Errorf("IMS is away: %v", err)
	}
	if _, err := reader.Target(t.Context(), &bos.Template{}, &got, "4h"); !bos.IsUnavailable(err) {
		t.Errorf("IMS is away at set-up: %v", err)
	}
	if _, err := bootimage.New(nil, nil, nil).Resolve(t.Context(), set); bos.CodeOf(err) != bos.CodeInvalid {
		t.Errorf("a site without IMS: %v", err)
	}
}
