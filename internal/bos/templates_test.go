// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
)

func TestBootSetsKeepTheirOrder(t *testing.T) {
	const doc = `{"zeta":{"path":"p","type":"s3"},"alpha":{"path":"q","type":"s3"},"mid":{"path":"r","type":"s3"}}`
	var sets bos.BootSets
	if err := json.Unmarshal([]byte(doc), &sets); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(sets)
	if err != nil || string(data) != doc {
		t.Errorf("%s, %v", data, err)
	}
	sets.Set("alpha", bos.BootSet{Path: "x"})
	sets.Set("new", bos.BootSet{})
	var names []string
	for name := range sets.All() {
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"zeta", "alpha", "mid", "new"}, names); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`[]`, `{"a":5}`, `"x"`} {
		if err := json.Unmarshal([]byte(bad), &sets); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestTemplatePatchAndSanitize(t *testing.T) {
	var tpl bos.Template
	if err := json.Unmarshal([]byte(`{"cfs":{"configuration":""},"boot_sets":{"b":{"path":"p","type":"s3","name":"b","cfs":{},
		"node_list":["X03000C00S01B00N0","X03000C00S01B00","Login","Login"]}}}`), &tpl); err != nil {
		t.Fatal(err)
	}
	tpl = tpl.Sanitize("t", "")
	data, err := json.Marshal(tpl)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "sanitized", `{"name":"t","tenant":null,"boot_sets":{"b":{"path":"p","type":"s3","arch":"X86",
		"node_list":["x3000c0s1b0n0","x03000c00s01b00","login","login"]}}}`, data)

	var p bos.TemplatePatch
	if err := json.Unmarshal([]byte(`{"description":"d","cfs":{"configuration":"c"},"boot_sets":{"b":{"path":"p2","type":"s3",
		"node_list":["x1"],"cfs":{"configuration":"bc"}},"n":{"path":"q","type":"s3","node_groups":["g"]}}}`), &p); err != nil {
		t.Fatal(err)
	}
	patched := tpl.Patch(p).Sanitize("t", "blue")
	if data, err = json.Marshal(patched); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "patched", `{"name":"t","tenant":"blue","description":"d","cfs":{"configuration":"c"},"boot_sets":{
		"b":{"path":"p2","type":"s3","arch":"X86","node_list":["x1"],"cfs":{"configuration":"bc"}},
		"n":{"path":"q","type":"s3","arch":"X86","node_groups":["g"]}}}`, data)
	if set, _ := tpl.BootSets.Get("b"); set.Path != "p" {
		t.Error("a patch changed the template that it was applied to")
	}
	b, _ := patched.BootSets.Get("b")
	n, _ := patched.BootSets.Get("n")
	if patched.ConfigurationFor(&b) != "bc" || patched.ConfigurationFor(&n) != "c" {
		t.Error("wrong configurations")
	}
	patched.EnableCFS = bos.Some(false)
	if patched.ConfigurationFor(&b) != "" {
		t.Error("enable_cfs false has a configuration")
	}
}

func TestCheckTemplateRequest(t *testing.T) {
	tests := []struct {
		name, sets string
		opts       bos.Options
		err        string
	}{
		{name: "fine", sets: `{"b":{"node_groups":["g"]}}`},
		{name: "other name", sets: `{"b":{"node_groups":["g"],"name":"c"}}`, err: "boot_sets key (b) does not match 'name' field of corresponding boot set (c)"},
		{name: "bad key", sets: `{"-b":{"node_groups":["g"]}}`, err: "boot_sets.-b"},
		{name: "empty key", sets: `{"":{"node_groups":["g"]}}`, err: "boot_sets."},
		{name: "no nodes", sets: `{"b":{"node_groups":[]}}`, err: "node_list"},
		{name: "newline", sets: `{"b":{"node_groups":["g"],"kernel_parameters":"a\nb"}}`, err: "boot_sets.b.kernel_parameters"},
		{name: "carriage return", sets: `{"b":{"node_groups":["g"],"kernel_parameters":"a\r"}}`, err: "boot_sets.b.kernel_parameters"},
		{name: "own token", sets: `{"b":{"node_groups":["g"],"kernel_parameters":"a bss_referral_token=x"}}`, err: "bss_referral_token"},
		{name: "token in a value", sets: `{"b":{"node_groups":["g"],"kernel_parameters":"a=bss_referral_token"}}`},
		{name: "nid", sets: `{"b":{"node_list":["nid1"]}}`},
		{name: "nid rejected", sets: `{"b":{"node_list":["nid1"]}}`, opts: bos.Options{RejectNIDs: true}, err: "Has NID in 'node_list'"},
		{name: "NID passes", sets: `{"b":{"node_list":["NID1"]}}`, opts: bos.Options{RejectNIDs: true}},
	}
	for _, tt := range tests {
		var tpl bos.Template
		if err := json.Unmarshal([]byte(`{"boot_sets":`+tt.sets+`}`), &tpl); err != nil {
			t.Fatal(err)
		}
		err := bos.CheckTemplateRequest(&tpl, tt.opts)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCheckBootSet(t *testing.T) {
	manifest, err := bos.ParseManifest([]byte(`{"artifacts":[{"type":"application/vnd.cray.image.kernel","link":{"path":"k"}},
		{"type":"application/vnd.cray.image.initrd","link":{"path":"i"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	noInitrd, err := bos.ParseManifest([]byte(`{"artifacts":[{"type":"application/vnd.cray.image.kernel","link":{"path":"k"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	away := bos.Unavailable("ims", errors.New("inside"))
	base := bos.BootSet{Path: "s3://b/img/manifest.json", NodeList: bos.Some([]string{"x1"})}
	x86 := bos.ImageFacts{Arch: "x86_64"}
	type facts = bos.BootSetFacts
	tests := []struct {
		name     string
		change   func(*bos.BootSet)
		op       bos.Operation
		facts    facts
		opts     bos.Options
		warnings []string
		err      string
	}{
		{name: "fine", facts: facts{Manifest: manifest, Image: x86}},
		{name: "no nodes", change: func(b *bos.BootSet) { b.NodeList = bos.Some([]string{}) }, err: "node_list"},
		{name: "shutdown looks at no image", op: bos.OperationShutdown, facts: facts{ManifestErr: away, ImageErr: away}},
		{name: "nid", change: func(b *bos.BootSet) { b.NodeList = bos.Some([]string{"nid1"}) }, op: bos.OperationShutdown,
			warnings: []string{"Has NID in 'node_list'"}},
		{name: "manifest gone", facts: facts{ManifestErr: bos.Errorf(bos.CodeNotFound, "no such object")}, err: "Can't find boot artifacts"},
		{name: "kernel gone", facts: facts{Manifest: manifest, Objects: map[bos.ArtifactType]error{bos.ArtifactKernel: away}}, err: "Can't find kernel"},
		{name: "no kernel", facts: facts{}, err: "Can't find kernel"},
		{name: "no initrd", facts: facts{Manifest: noInitrd, Image: x86}, warnings: []string{"doesn't contain a initrd"}},
		{name: "initrd gone", facts: facts{Manifest: manifest, Image: x86, Objects: map[bos.ArtifactType]error{bos.ArtifactInitrd: away}},
			warnings: []string{"Unable to check initrd"}},
		{name: "wrong arch", facts: facts{Manifest: manifest, Image: bos.ImageFacts{Arch: "aarch64"}}, err: "aarch64"},
		{name: "ARM", change: func(b *bos.BootSet) { b.Arch = bos.Some(bos.ArchARM) }, facts: facts{Manifest: manifest, Image: bos.ImageFacts{Arch: "aarch64"}}},
		{name: "Other warns", change: func(b *bos.BootSet) { b.Arch = bos.Some(bos.ArchOther) }, facts: facts{Manifest: manifest},
			warnings: []string{"Can't validate boot image arch: Boot set arch set to 'Other'"}},
		{name: "Unknown is X86", change: func(b *bos.BootSet) { b.Arch = bos.Some(bos.ArchUnknown) }, facts: facts{Manifest: manifest, Image: x86}},
		{name: "not IMS", change: func(b *bos.BootSet) { b.Path = "s3://b/manifest.json" }, facts: facts{Manifest: manifest}, warnings: []string{"convention"}},
		{name: "unknown image", facts: facts{Manifest: manifest, ImageErr: bos.Errorf(bos.CodeNotFound, "x")}, warnings: []string{"IMS image id 'img' does not exist in IMS"}},
		{name: "unknown image is fatal", facts: facts{Manifest: manifest, ImageErr: bos.Errorf(bos.CodeNotFound, "x")},
			opts: bos.Options{IMSImagesMustExist: true}, err: "IMS image id 'img' does not exist in IMS"},
		{name: "IMS away", facts: facts{Manifest: manifest, ImageErr: away}, warnings: []string{"Can't validate boot image arch: ims is not available"}},
		{name: "IMS away is fatal", facts: facts{Manifest: manifest, ImageErr: away}, opts: bos.Options{IMSErrorsFatal: true}, err: "ims is not available"},
		{name: "nonsense", facts: facts{Manifest: manifest, Image: bos.ImageFacts{Nonsense: true}}, warnings: []string{"no image record"}},
		{name: "nonsense is fatal", facts: facts{Manifest: manifest, Image: bos.ImageFacts{Nonsense: true}}, opts: bos.Options{IMSErrorsFatal: true}, err: "no image record"},
		{name: "site without IMS", change: func(b *bos.BootSet) { b.Path, b.Arch = "s3://b/manifest.json", bos.Some(bos.ArchOther) },
			facts: facts{Manifest: manifest, Image: bos.ImageFacts{Unchecked: true}}, opts: bos.Options{IMSErrorsFatal: true, IMSImagesMustExist: true}},
		{name: "hints", change: func(b *bos.BootSet) {
			b.CFS = bos.Some(bos.CFS{Configuration: bos.Some(strings.Repeat("c", 61))})
			b.KernelParameters = bos.Some("a=initrd-b")
			b.RootfsProvider = bos.Some("cpss3")
		}, facts: facts{Manifest: manifest, Image: x86}, warnings: []string{"cpss3", "61 characters", "initrd"}},
		{name: "in order", change: func(b *bos.BootSet) {
			b.NodeList, b.RootfsProvider = bos.Some([]string{"nid1"}), bos.Some("cpss3")
		}, facts: facts{Manifest: noInitrd, ImageErr: away}, warnings: []string{"cpss3", "NID", "initrd", "ims"}},
		{name: "provider of a shutdown", change: func(b *bos.BootSet) { b.RootfsProvider = bos.Some("cpss3") }, op: bos.OperationShutdown,
			warnings: []string{"cpss3"}},
	}
	for _, tt := range tests {
		set := base
		if tt.change != nil {
			tt.change(&set)
		}
		op := tt.op
		if op == "" {
			op = bos.OperationBoot
		}
		warnings, err := new(bos.Template).CheckBootSet(&set, op, tt.facts, tt.opts)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "inside") {
				t.Errorf("%s: error %v", tt.name, err)
			}
			continue
		}
		if err != nil || len(warnings) != len(tt.warnings) {
			t.Errorf("%s: %v, %v", tt.name, warnings, err)
			continue
		}
		for i, w := range tt.warnings {
			if !strings.Contains(warnings[i], w) {
				t.Errorf("%s: warning %q lacks %q", tt.name, warnings[i], w)
			}
		}
	}
}

// A name that CFS won't take is warned of wherever it is written.
func TestLongConfigurationOfTemplate(t *testing.T) {
	tpl := bos.Template{CFS: bos.Some(bos.CFS{Configuration: bos.Some(strings.Repeat("c", 61))})}
	set := bos.BootSet{NodeList: bos.Some([]string{"x1"}), Path: "s3://b/img/manifest.json"}
	check := func() []string {
		manifest, err := bos.ParseManifest([]byte(`{"artifacts":[{"type":"application/vnd.cray.image.kernel","link":{"path":"k"}},
			{"type":"application/vnd.cray.image.initrd","link":{"path":"i"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		warnings, err := tpl.CheckBootSet(&set, bos.OperationBoot, bos.BootSetFacts{Manifest: manifest, Image: bos.ImageFacts{Unchecked: true}}, bos.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return warnings
	}
	if got := check(); len(got) != 1 || !strings.Contains(got[0], "61 characters") {
		t.Errorf("got %q", got)
	}
	set.CFS = bos.Some(bos.CFS{Configuration: bos.Some("short")})
	if got := check(); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}
