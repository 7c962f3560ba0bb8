// SPDX-License-Identifier: MIT

// Package ims is the client of the Image Management Service: the records of
// images.
package ims

import (
	"context"
	"fmt"
	"net/http"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

// defaultArch is what IMS takes an image for that names no architecture.
const defaultArch = "x86_64"

// Client talks to one IMS. It is safe for concurrent use.
type Client struct {
	svc *call.Service
}

// New makes a client of a service whose base URL ends in /v3.
func New(svc *call.Service) *Client { return &Client{svc: svc} }

// Service returns the service that the client talks to, for its health.
func (c *Client) Service() *call.Service { return c.svc }

// Image is the record of an image.
type Image struct {
	ID   string
	Name string
	// Arch is x86_64 or aarch64; x86_64 if the record names none.
	Arch string
	// LinkPath is the place of the manifest, s3://bucket/key; "" if the image
	// has none (yet).
	LinkPath string
	// LinkETag is the manifest's entity tag; "" if the record names none.
	LinkETag string
}

// record is the answer of IMS. Null is taken for absent everywhere.
type record struct {
	ID   *string `json:"id"`
	Name *string `json:"name"`
	Arch *string `json:"arch"`
	Link *struct {
		Path *string `json:"path"`
		ETag *string `json:"etag"`
	} `json:"link"`
}

// Image returns an image. The error has [bos.CodeNotFound] if there is none, of
// any reason: deleted, never there, or an id that is no UUID in lower case.
func (c *Client) Image(ctx context.Context, id string) (Image, error) {
	segment, err := call.Segment(id)
	if err != nil {
		return Image{}, noSuchImage(id, err)
	}
	var out record
	_, err = c.svc.Do(ctx, call.Request{
		Operation: "get-image",
		Method:    http.MethodGet,
		Path:      "/images/" + segment,
	}, &out)
	if err != nil {
		return Image{}, orNoSuchImage(id, err)
	}
	image := Image{ID: or(out.ID, id), Name: or(out.Name, ""), Arch: or(out.Arch, "")}
	if image.Arch == "" {
		image.Arch = defaultArch
	}
	if out.Link != nil {
		image.LinkPath, image.LinkETag = or(out.Link.Path, ""), or(out.Link.ETag, "")
	}
	return image, nil
}

// change is the body of a metadata change; IMS takes one in a request.
type change struct {
	Metadata struct {
		Operation string `json:"operation"`
		Key       string `json:"key"`
		Value     string `json:"value"`
	} `json:"metadata"`
}

// Tag sets one key of an image's metadata. It can be repeated. The error has
// [bos.CodeNotFound] if there is no such image. attempt is the identity that
// travels with the request; "" is none.
func (c *Client) Tag(ctx context.Context, id, key, value, attempt string) error {
	segment, err := call.Segment(id)
	if err != nil {
		return noSuchImage(id, err)
	}
	if key == "" {
		// IMS takes it, and has a tag without a name then.
		return bos.Errorf(bos.CodeInternal, "refusing to tag an image with an empty key")
	}
	var body change
	body.Metadata.Operation, body.Metadata.Key, body.Metadata.Value = "set", key, value
	_, err = c.svc.Do(ctx, call.Request{
		Operation:  "tag-image",
		Method:     http.MethodPatch,
		Path:       "/images/" + segment,
		Body:       body,
		Write:      true,
		Idempotent: true,
		LateOK:     true,
		Attempt:    attempt,
	}, &struct{}{})
	return orNoSuchImage(id, err)
}

// orNoSuchImage turns a 404 into a domain error and leaves others.
func orNoSuchImage(id string, err error) error {
	if call.StatusOf(err) == http.StatusNotFound {
		return noSuchImage(id, err)
	}
	return err
}

func noSuchImage(id string, cause error) error {
	return &bos.Error{
		Code:    bos.CodeNotFound,
		Message: fmt.Sprintf("IMS image id '%s' does not exist in IMS", id),
		Err:     cause,
	}
}

func or(s *string, def string) string {
	if s == nil {
		return def
	}
	return *s
}
