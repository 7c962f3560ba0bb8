// SPDX-License-Identifier: MIT

package sim

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func TestImages(t *testing.T) {
	b := newBench(t, Config{})
	images := b.Images()
	if len(images) != 3 || images[0].Arch != "x86_64" || images[1].Arch != "x86_64" || images[2].Arch != "aarch64" {
		t.Fatalf("images: %+v", images)
	}
	id := images[0].ID
	const field = `{"metadata":{"operation":`
	check(t, b, b.URLs().IMS, []want{
		{"one", "GET", "/images/" + id, nil, 200, []string{
			`"arch":"x86_64"`, `"id":"` + id, `"link":{"type":"s3","path":"s3://boot-images/` + id + `/manifest.json"`, `"metadata":{}`,
		}, nil},
		{"list", "GET", "/images", nil, 200, []string{id, "bos-image-arm"}, nil},
		{"unknown", "GET", "/images/00000000-0000-4000-8000-000000000000", nil, 404, []string{"Re-run request with valid ID."}, []string{`"type"`}},
		{"upper", "GET", "/images/" + strings.ToUpper(id), nil, 404, nil, nil},
		{"set", "PATCH", "/images/" + id, field + `"set","key":"sbps-project","value":"true"}}`, 200, []string{`"metadata":{"sbps-project":"true"}`}, nil},
		{"set nothing", "PATCH", "/images/" + id, field + `"set","key":"k"}}`, 200, []string{`"k":""`}, nil},
		{"set again", "PATCH", "/images/" + id, field + `"set","key":"k","value":"v"}}`, 200, []string{`"k":"v"`}, nil},
		{"remove", "PATCH", "/images/" + id, field + `"remove","key":"k","value":"z"}}`, 200, nil, []string{`"k"`}},
		{"remove again", "PATCH", "/images/" + id, field + `"remove","key":"k"}}`, 200, nil, nil},
		{"empty key", "PATCH", "/images/" + id, field + `"set","key":""}}`, 200, []string{`"":""`}, nil},
		{"operation", "PATCH", "/images/" + id, field + `"add","key":"k"}}`, 422, []string{`"errors":{"metadata":{"operation":["Must be one of: set, remove."]}}`}, nil},
		{"no key", "PATCH", "/images/" + id, field + `"set"}}`, 422, []string{"Missing data for required field."}, nil},
		{"number", "PATCH", "/images/" + id, field + `"set","key":"k","value":1}}`, 422, []string{"Not a valid string."}, nil},
		{"arch", "PATCH", "/images/" + id, `{"arch":"X86"}`, 422, []string{"Must be one of: aarch64, x86_64."}, nil},
		{"name", "PATCH", "/images/" + id, `{"name":"x"}`, 422, []string{"Unknown field."}, nil},
		{"nothing", "PATCH", "/images/" + id, `{}`, 400, []string{"No input provided"}, nil},
		{"no body", "PATCH", "/images/" + id, nil, 400, []string{"Failed to decode JSON object"}, []string{"title"}},
		{"same link", "PATCH", "/images/" + id, map[string]any{"link": link{"s3", images[0].ManifestPath, images[0].ETag}}, 200, nil, nil},
		{"other link", "PATCH", "/images/" + id, `{"link":{"path":"s3://b/x","etag":"","type":"s3"}}`, 409, nil, nil},
		{"patch unknown", "PATCH", "/images/nope", field + `"set","key":"k"}}`, 404, nil, nil},
		{"method", "PUT", "/images/" + id, "{}", 405, []string{`"message"`, `"title"`}, nil},
		{"route", "GET", "/nope", nil, 404, []string{"check your spelling"}, nil},
		{"delete", "DELETE", "/images/" + id, nil, 204, nil, nil},
		{"gone", "GET", "/images/" + id, nil, 404, nil, nil},
		{"delete again", "DELETE", "/images/" + id, nil, 404, nil, nil},
		{"all deleted", "GET", "/deleted/images", nil, 200, []string{id}, []string{"bos-image-b"}},
		{"deleted", "GET", "/deleted/images/" + id, nil, 200, []string{"s3://boot-images/deleted/" + id}, nil},
	})
	for _, prefix := range []string{"/v2", ""} {
		url := strings.TrimSuffix(b.URLs().IMS, "/v3") + prefix + "/images/" + images[1].ID
		if a := b.call("GET", url, nil); a.status != 200 {
			t.Errorf("%s: %d", url, a.status)
		}
	}
	s3 := "http://" + b.URLs().S3Endpoint + "/boot-images/"
	if a := b.call("GET", s3+id+"/kernel", nil); a.status != 404 {
		t.Errorf("kernel of a deleted image: %d", a.status)
	}
	if a := b.call("GET", s3+"deleted/"+id+"/kernel", nil); a.status != 200 {
		t.Errorf("moved kernel: %d", a.status)
	}
	if got := b.Images(); len(got) != 2 {
		t.Errorf("%d images are left", len(got))
	}
}

func TestArtifacts(t *testing.T) {
	b := newBench(t, Config{})
	img := b.Images()[0]
	endpoint := "http://" + b.URLs().S3Endpoint
	fetch := func(link string) answer {
		t.Helper()
		a := b.call("GET", endpoint+strings.TrimPrefix(link, "s3:/"), nil)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", link, a.status, a.body)
		}
		return a
	}
	a := fetch(img.ManifestPath)
	if got := strings.Trim(a.header.Get("ETag"), `"`); got != img.ETag {
		t.Errorf("ETag %q of the manifest, image says %q", got, img.ETag)
	}
	var manifest struct {
		Version   string
		Artifacts []struct {
			Type, MD5 string
			Link      link
		}
	}
	if err := json.Unmarshal(a.body, &manifest); err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, part := range manifest.Artifacts {
		types[part.Type] = true
		got := fetch(part.Link.Path)
		sum := md5.Sum(got.body)
		if text := hex.EncodeToString(sum[:]); text != part.MD5 || text != part.Link.ETag || got.header.Get("ETag") != `"`+text+`"` {
			t.Errorf("%s: sums %s, %s, %s, %s", part.Type, text, part.MD5, part.Link.ETag, got.header.Get("ETag"))
		}
		head := b.call("HEAD", endpoint+strings.TrimPrefix(part.Link.Path, "s3:/"), nil)
		if head.status != 200 || head.header.Get("ETag") != got.header.Get("ETag") {
			t.Errorf("HEAD %s: %d %v", part.Link.Path, head.status, head.header)
		}
	}
	for _, typ := range []string{artifactKernel, artifactInitrd, artifactRootfs, artifactParams} {
		if !types[typ] {
			t.Errorf("no %s", typ)
		}
	}
	if a := b.call("GET", endpoint+"/boot-images/nope", nil); a.status != 404 || !strings.Contains(string(a.body), "NoSuchKey") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTenants(t *testing.T) {
	b := newBench(t, Config{Nodes: 8})
	base := strings.TrimSuffix(b.URLs().TAPMS, "/v1alpha3")
	blue := b.call("GET", b.URLs().TAPMS+"/tenants/blue", nil)
	uuid := blue.field(t, "status", "uuid").(string)
	names := blue.field(t, "status", "tenantresources", 0, "xnames").([]any)
	if len(names) != 4 || names[0] != first {
		t.Errorf("nodes of blue: %v", names)
	}
	check(t, b, base, []want{
		{"by uuid", "GET", "/v1alpha3/tenants/" + uuid, nil, 200, []string{`"tenantname":"blue"`, `"hsmgrouplabel":"blue"`}, nil},
		{"old path", "GET", "/v1/tenant/green", nil, 200, []string{`"tenantname":"green"`}, nil},
		{"unknown", "GET", "/v1alpha3/tenants/x", nil, 404, []string{`"Tenant with name/uuid 'x' not found."`}, []string{"{"}},
		{"list", "GET", "/v1alpha3/tenants", nil, 200, []string{`"items":[`, "blue", "green"}, nil},
		{"owners", "POST", "/v1alpha3/tenants", []string{first, nowhere}, 200, []string{"blue"}, []string{"green"}},
		{"garbage", "POST", "/v1alpha3/tenants", "{", 500, []string{`{"message":`}, nil},
	})
}
