// SPDX-License-Identifier: MIT

package bootimage

import (
	"context"

	"bos/internal/bos"
)

// Resolve returns a boot set with the manifest of its IMS image as IMS names it
// now; one that names no image stays as it is. The error has [bos.CodeInvalid]
// and names the field if the image does not exist, has no manifest, or is not
// the one that the boot set describes beside, and [bos.CodeUnavailable] if IMS
// could not be asked.
func (r *Reader) Resolve(ctx context.Context, set bos.BootSet) (bos.BootSet, error) {
	link, err := r.link(ctx, &set)
	if err != nil || link == nil {
		return set, err
	}
	return set.WithImage(*link)
}

// current returns a stored boot set with the manifest that its IMS image has
// now: an image may be built anew after the template was written.
func (r *Reader) current(ctx context.Context, set bos.BootSet) (bos.BootSet, error) {
	link, err := r.link(ctx, &set)
	if err != nil || link == nil {
		return set, err
	}
	set.Path, set.Type, set.ETag = "", "", bos.Opt[string]{}
	return set.WithImage(*link)
}

// link asks IMS where the manifest of a boot set's image is; nil if the boot set
// names no image.
func (r *Reader) link(ctx context.Context, set *bos.BootSet) (*bos.ImageLink, error) {
	id := set.IMSImageID.Value()
	switch {
	case id == "":
		return nil, nil //nolint:nilnil // there is nothing to ask
	case r.records == nil:
		return nil, bos.Errorf(bos.CodeInvalid, "ims_image_id: this site has no IMS; name the image by path and type")
	}
	record, err := r.records.Image(ctx, id)
	if bos.IsNotFound(err) {
		return nil, &bos.Error{Code: bos.CodeInvalid, Message: "ims_image_id: the IMS image '" + id + "' does not exist", Err: err}
	}
	if err != nil {
		return nil, answer(serviceIMS, err)
	}
	return &bos.ImageLink{Path: record.LinkPath, ETag: record.LinkETag}, nil
}
