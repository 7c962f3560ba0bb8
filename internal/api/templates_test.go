// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bos/internal/bos"
	"bos/internal/store"
)

// absent fails unless nothing was stored under a name.
func (s *site) absent(template string) {
	s.tb.Helper()
	s.do("GET", "/v2/sessiontemplates/"+template, "").problem(404, "The resource was not found", "Session template '"+template+"' does not exist")
}

func TestPutTemplate(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/sessiontemplates/t", `{"cfs":{},"boot_sets":{"z":{"name":"z","type":"s3","path":"p","node_list":["X03000C00S01B00N0","Nid1","x1","x1"],
		"cfs":{"configuration":""}},"a":{"type":"s3","path":"p","node_groups":["G"],"arch":"ARM","cfs":{"configuration":"c"}}}}`).
		is(`{"name":"t","tenant":null,"boot_sets":{"z":{"type":"s3","path":"p","arch":"X86","node_list":["x3000c0s1b0n0","nid1","x1","x1"]},
			"a":{"type":"s3","path":"p","arch":"ARM","node_groups":["G"],"cfs":{"configuration":"c"}}}}`)
	got := string(s.do("GET", "/v2/sessiontemplates/t", "").body)
	if strings.Index(got, `"z"`) > strings.Index(got, `"a"`) {
		t.Errorf("the order of boot sets is lost: %s", got)
	}
	s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"b":`+bootSet+`},"description":"d"}`).wants(200)
	s.do("GET", "/v2/sessiontemplates", "").is(`[{"name":"t","tenant":null,"description":"d","boot_sets":{"b":
		{"type":"s3","path":"s3://b/img/m.json","arch":"X86","node_list":["x1c0s0b0n0"]}}}]`)
	s.do("DELETE", "/v2/sessiontemplates/t", "").wants(204)
	s.do("DELETE", "/v2/sessiontemplates/t", "").problem(404, "The resource was not found", "'t'")
	s.do("GET", "/v2/sessiontemplates", "").is(`[]`)
}

func TestTemplateIsRefused(t *testing.T) {
	s := start(t, nil)
	arm, away, unknown := goodFacts(), goodFacts(), goodFacts()
	arm.Image.Arch = "aarch64"
	away.ImageErr = bos.Unavailable("ims", nil)
	unknown.ImageErr = bos.Errorf(bos.CodeNotFound, "unknown")
	s.images.set("s3://b/arm/m", arm)
	s.images.set("s3://b/away/m", away)
	s.images.set("s3://b/unknown/m", unknown)
	set := func(name, fields string) string {
		return `{"boot_sets":{"` + name + `":{"type":"s3","path":"s3://b/i/m",` + fields + `}}}`
	}
	image := func(name string) string {
		return `{"boot_sets":{"c":{"type":"s3","path":"s3://b/` + name + `/m","node_list":["x1"]}}}`
	}
	type refusal struct{ body, words string }
	refusals := []refusal{
		{set("c", `"name":"d","node_list":["x1"]`), "boot_sets key (c) does not match 'name' field of corresponding boot set (d)"},
		{set("-bad", `"node_list":["x1"]`), "-bad"},
		{set("", `"node_list":["x1"]`), "boot_sets."},
		{set("c", `"arch":"X86"`), "node_list"},
		{set("c", `"node_list":["x1"],"kernel_parameters":"a bss_referral_token=b"`), "bss_referral_token"},
		{image("arm"), "Boot set arch 'X86' means IMS image arch should be 'x86_64', but actual IMS image arch is 'aarch64'"},
	}
	try := func(r refusal) {
		t.Helper()
		s.do("PUT", "/v2/sessiontemplates/t", r.body).problem(400, "Bad Request", "The session template could not be created: ", r.words)
		s.absent("t")
		s.template("p")
		s.do("PATCH", "/v2/sessiontemplates/p", r.body).problem(400, "Bad Request", "The session template could not be patched: ", r.words)
		s.do("GET", "/v2/sessiontemplates/p", "").is(`{"name":"p","tenant":null,"boot_sets":{"c":
			{"type":"s3","path":"s3://b/img/m.json","arch":"X86","node_list":["x1c0s0b0n0"]}}}`)
	}
	for _, r := range refusals[:1] {
		try(r)
	}
	for _, r := range refusals[1:] {
		if strings.Contains(r.words, "node_list") {
			// A patch leaves the nodes that are there.
			s.do("PUT", "/v2/sessiontemplates/t", r.body).problem(400, "Bad Request", "The session template could not be created: ", r.words)
			continue
		}
		try(r)
	}
	for _, body := range []string{image("unknown"), image("away"), set("c", `"node_list":["nid1"]`)} {
		s.do("PUT", "/v2/sessiontemplates/t", body).wants(200)
	}
	s.do("DELETE", "/v2/sessiontemplates/t", "").wants(204)
	s.do("PATCH", "/v2/options", `{"ims_images_must_exist":true,"ims_errors_fatal":true,"reject_nids":true}`).wants(200)
	try(refusal{image("unknown"), "IMS image id 'unknown' does not exist in IMS"})
	try(refusal{image("away"), "ims is not available"})
	try(refusal{set("c", `"node_list":["x1","nid1"]`), "Has NID in 'node_list'"})
	s.do("PUT", "/v2/sessiontemplates/t", set("c", `"node_list":["Nid1"]`)).wants(200)
}

// What can't be booted yet can be stored, and the log says so.
func TestMissingArtifactsAreLogged(t *testing.T) {
	s := start(t, nil)
	gone := goodFacts()
	gone.ManifestErr = bos.Errorf(bos.CodeNotFound, "'s3://b/img/m.json' does not exist in S3")
	s.images.set("s3://b/img/m.json", gone)
	s.template("t")
	if !strings.Contains(s.log.String(), "does not exist in S3") {
		t.Errorf("the log says nothing: %s", s.log)
	}
}

func TestPatchTemplate(t *testing.T) {
	s := start(t, nil)
	s.do("PATCH", "/v2/sessiontemplates/t", `{}`).problem(404, "The resource was not found", "Session template 't' does not exist")
	s.do("PUT", "/v2/sessiontemplates/t", `{"cfs":{"configuration":"c"},"boot_sets":{"z":`+bootSet+`}}`).wants(200)
	s.do("PATCH", "/v2/sessiontemplates/t", `{"cfs":{"configuration":""},"boot_sets":{"a":{"type":"s3","path":"p","node_groups":["g"]},
		"z":{"name":"z","type":"s3","path":"q","node_list":["X01C00S0B0N02"],"kernel_parameters":"k"}}}`).
		is(`{"name":"t","tenant":null,"boot_sets":{"z":{"type":"s3","path":"q","arch":"X86","node_list":["x1c0s0b0n2"],"kernel_parameters":"k"},
			"a":{"type":"s3","path":"p","arch":"X86","node_groups":["g"]}}}`)
	got := string(s.do("GET", "/v2/sessiontemplates/t", "").body)
	if strings.Index(got, `"z"`) > strings.Index(got, `"a"`) {
		t.Errorf("the order of boot sets is lost: %s", got)
	}
	for _, body := range []string{`{"name":"t"}`, `{"boot_sets":{}}`, `{"boot_sets":{"z":{"kernel_parameters":"l"}}}`, `{"description":""}`, `null`} {
		s.do("PATCH", "/v2/sessiontemplates/t", body).problem(400, "Bad Request")
	}
}

// A boot set with as many nodes as the contract allows is stored; a template
// that is beyond all bounds is refused in words.
func TestLongTemplates(t *testing.T) {
	s := start(t, nil)
	nodes := make([]string, 65535)
	for i := range nodes {
		nodes[i] = fmt.Sprintf("x%dc%ds%db%dn%d", 1000+i/8192, i/1024%8, i/16%64, i/2%8, i%2)
	}
	text := `["` + strings.Join(nodes, `","`) + `"]`
	put := func(name, list string) reply {
		return s.do("PUT", "/v2/sessiontemplates/"+name, `{"boot_sets":{"c":{"type":"s3","path":"p","node_list":`+list+`}}}`)
	}
	put("t", text).wants(200)
	s.do("PATCH", "/v2/sessiontemplates/t", `{"description":"d"}`).wants(200)
	var back bos.Template
	s.do("GET", "/v2/sessiontemplates/t", "").wants(200).json(&back)
	if set, _ := back.BootSets.Get("c"); back.Description.Value() != "d" || !slices.Equal(set.NodeList.Value(), nodes) {
		t.Error("it came back as another one")
	}
	put("u", strings.TrimSuffix(text, "]")+`,"x1"]`).problem(400, "Bad Request", "node_list")

	// Noise can't be packed.
	noise := rand.New(rand.NewPCG(1, 2))
	sets := make([]string, 30)
	for i := range sets {
		etag := make([]byte, 65536)
		for j := range etag {
			etag[j] = byte('0' + noise.IntN(75))
		}
		sets[i] = fmt.Sprintf(`"b%d":{"type":"s3","path":"p","node_groups":["g"],"etag":%q}`, i, strings.ReplaceAll(string(etag), `\`, "~"))
	}
	s.do("PUT", "/v2/sessiontemplates/w", `{"boot_sets":{`+strings.Join(sets, ",")+`}}`).problem(413, "Request Entity Too Large", "session template")
	s.absent("w")
}

// A document that can't be read is nobody's: it is not shown, and can be
// replaced.
func TestUnreadableTemplate(t *testing.T) {
	s := start(t, nil)
	if _, err := s.store.PutDoc(t.Context(), store.TemplateKey(bos.TemplateKey{Name: "t"}), "nonsense", nil); err != nil {
		t.Fatal(err)
	}
	s.absent("t")
	s.do("PATCH", "/v2/sessiontemplates/t", `{}`).wants(404)
	s.template("t")
	s.do("GET", "/v2/sessiontemplates/t", "").wants(200)
}

// A template does not grow beyond its bound, one PATCH after the other.
func TestPatchKeepsToTheBounds(t *testing.T) {
	s := start(t, nil)
	s.template("t")
	sets := func(from, to int) string {
		var out []string
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf(`"b%d":%s`, i, bootSet))
		}
		return `{"boot_sets":{` + strings.Join(out, ",") + `}}`
	}
	s.do("PATCH", "/v2/sessiontemplates/t", sets(0, 126)).wants(200)
	s.do("PATCH", "/v2/sessiontemplates/t", sets(126, 127)).problem(400, "Bad Request", "could not be patched: ", "boot_sets", "127")
	s.do("PATCH", "/v2/sessiontemplates/t", sets(0, 3)).wants(200)
}
