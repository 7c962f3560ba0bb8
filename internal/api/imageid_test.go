// SPDX-License-Identifier: MIT

package api

import "testing"

// A boot set may name its image by the id in IMS; what the manifest is comes
// from there and is shown.
func TestTemplateWithImageID(t *testing.T) {
	s := start(t, nil)
	put := func(image string) reply {
		return s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"b":{`+image+`,"node_list":["x1"]}}}`)
	}
	const found = `{"name":"t","tenant":null,"boot_sets":{"b":{"ims_image_id":"i1","path":"s3://boot-images/i1/manifest.json","type":"s3",
		"etag":"e1","arch":"X86","node_list":["x1"]}}}`
	put(`"ims_image_id":"i1"`).is(found)
	put(`"ims_image_id":"i1","path":"s3://boot-images/i1/manifest.json"`).is(found)
	put(`"ims_image_id":"i1","path":"s3://boot-images/i1/manifest.json","type":"s3","etag":"\"e1\""`).is(found)
	s.do("GET", "/v2/sessiontemplates/t", "").is(found)
	for _, c := range []struct {
		image string
		names string
	}{
		{`"ims_image_id":"i1","path":"s3://boot-images/i2/manifest.json"`, "boot_sets.b.path"},
		{`"ims_image_id":"i1","type":"nfs"`, "boot_sets.b.type"},
		{`"ims_image_id":"i1","etag":"e2"`, "boot_sets.b.etag"},
		{`"ims_image_id":"none"`, "boot_sets.b.ims_image_id"},
		{`"ims_image_id":""`, "ims_image_id"},
		{`"ims_image_id":null`, "ims_image_id"},
		{`"path":"s3://b/m"`, "type"},
		{`"type":"s3"`, "path"},
		{`"etag":"e"`, "path"},
	} {
		put(c.image).problem(400, "Bad Request", c.names)
	}
	put(`"ims_image_id":"away"`).problem(503, "Service Unavailable", "ims")
	s.do("GET", "/v2/sessiontemplates/t", "").is(found)

	// A patch names the image one way or the other, and the former way is over.
	patch := func(image string) reply {
		return s.do("PATCH", "/v2/sessiontemplates/t", `{"boot_sets":{"b":{`+image+`}}}`)
	}
	patch(`"ims_image_id":"i2"`).is(`{"name":"t","tenant":null,"boot_sets":{"b":{"ims_image_id":"i2","path":"s3://boot-images/i2/manifest.json",
		"type":"s3","etag":"e1","arch":"X86","node_list":["x1"]}}}`)
	patch(`"path":"s3://b/m","type":"s3"`).is(`{"name":"t","tenant":null,"boot_sets":{"b":{"path":"s3://b/m","type":"s3","arch":"X86","node_list":["x1"]}}}`)
	patch(`"ims_image_id":"i1"`).is(found)
	patch(`"node_list":["x2"]`).problem(400, "Bad Request", "path")
}
