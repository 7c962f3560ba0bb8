// SPDX-License-Identifier: MIT

package bos

import "strings"

// TypeS3 is the one type of boot sets that there is an image for.
const TypeS3 = "s3"

// ImageLink is where the manifest of an IMS image is. ETag may be empty.
type ImageLink struct{ Path, ETag string }

// WithImage returns the boot set with the manifest of its IMS image. What the
// boot set says of the manifest itself must agree; the error has [CodeInvalid]
// and begins with the name of the field.
func (b BootSet) WithImage(link ImageLink) (BootSet, error) {
	id := b.IMSImageID.Value()
	switch {
	case link.Path == "":
		return b, Errorf(CodeInvalid, "ims_image_id: the IMS image '%s' has no manifest yet", id)
	case b.Path != "" && b.Path != link.Path:
		return b, Errorf(CodeInvalid, "path: it is not that of the IMS image '%s', which is '%s'", id, link.Path)
	case b.Type != "" && b.Type != TypeS3:
		return b, Errorf(CodeInvalid, "type: it is not that of the IMS image '%s', which is '%s'", id, TypeS3)
	}
	own, theirs := strings.Trim(b.ETag.Value(), `"`), strings.Trim(link.ETag, `"`)
	if own != "" && theirs != "" && own != theirs {
		return b, Errorf(CodeInvalid, "etag: it is not that of the IMS image '%s', which is '%s'", id, theirs)
	}
	b.Path, b.Type = link.Path, TypeS3
	if theirs != "" {
		b.ETag = Some(theirs)
	}
	return b, nil
}
