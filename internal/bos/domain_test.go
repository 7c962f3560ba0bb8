// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                      "0:00:00",
		5 * time.Second:        "0:00:05",
		500 * time.Millisecond: "0:00:00.500000",
		25*time.Hour + 2*time.Minute + time.Second: "1 day, 1:02:01",
		60 * 24 * time.Hour:                        "60 days, 0:00:00",
		-time.Hour:                                 "-1 day, 23:00:00",
		-25 * time.Hour:                            "-2 days, 23:00:00",
	} {
		if got := bos.FormatDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestParseTimestamp(t *testing.T) {
	for in, want := range map[string]string{
		"2024-01-01":                      "2024-01-01T00:00:00",
		"2024-01-01T02:00:00":             "2024-01-01T02:00:00",
		"2024-01-01 02:00:00":             "2024-01-01T02:00:00",
		"2024-01-01T02:00:00.5":           "2024-01-01T02:00:00",
		"2024-01-01T02:00:00Z":            "2024-01-01T02:00:00",
		"2024-01-01T02:00:00+01:00":       "2024-01-01T02:00:00",
		"2024-01-01T02:00:00-0500":        "2024-01-01T02:00:00",
		"2024-01-01T02:00:00 +0100":       "2024-01-01T02:00:00",
		"2024-1-1":                        "2024-01-01T00:00:00",
		"2024-01-01 02:00":                "2024-01-01T02:00:00",
		"20240101T020000Z":                "2024-01-01T02:00:00",
		"20240101":                        "2024-01-01T00:00:00",
		"Mon, 01 Jan 2024 02:00:00 GMT":   "2024-01-01T02:00:00",
		"Mon, 01 Jan 2024 02:00:00 +0100": "2024-01-01T02:00:00",
		"2024-02-30T02:00:00":             "",
		"2024":                            "",
		"20241301":                        "",
		"yesterday":                       "",
		"":                                "",
		"2024-01-01T02:00:00+1":           "",
		"2024-01-01T02:00:00 x":           "",
	} {
		got, err := bos.ParseTimestamp(in)
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken for %v", in, got)
			}
			continue
		}
		if err != nil || bos.Timestamp(got) != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestParseAge(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "3m": 3 * time.Minute, "5H": 5 * time.Hour, "2W": 14 * 24 * time.Hour, "10d": 240 * time.Hour,
	} {
		if got, err := bos.ParseAge(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if got, err := bos.ParseAge("9999999w"); err != nil || got < 100*365*24*time.Hour {
		t.Errorf("a very old age: %v, %v", got, err)
	}
	for _, in := range []string{"", "d", "1", "1s", "-1d", "1.5h", "1d2h", " 1d"} {
		if got, err := bos.ParseAge(in); err == nil {
			t.Errorf("%q was taken for %v", in, got)
		}
	}
}

func TestLimit(t *testing.T) {
	nodes := bos.NewSet("a", "b", "c", "d")
	inv := bos.Inventory{
		Roles:      map[string]bos.Set{"Compute": bos.NewSet("a", "b", "z")},
		Partitions: map[string]bos.Set{"p1": bos.NewSet("b", "c")},
		Groups:     map[string]bos.Set{"g": bos.NewSet("d"), "Compute": bos.NewSet("d")},
	}
	for limit, want := range map[string]string{
		"":               "a,b,c,d",
		"a":              "a",
		"a,b":            "a,b",
		"all":            "a,b,c,d",
		"*,!b":           "a,c,d",
		"!b":             "",
		"!b,all":         "a,b,c,d",
		"Compute":        "a,b",
		"compute":        "",
		"Compute,&p1":    "b",
		"p1,g,!c":        "b,d",
		" a , & Compute": "a",
		"nosuch":         "",
		"all,&nosuch":    "",
		"z":              "",
		"&a":             "",
		"&":              "",
		"all,&":          "",
		"all, ! ":        "a,b,c,d",
		"all,!!a":        "a,b,c,d",
	} {
		l, err := bos.ParseLimit(limit)
		if err != nil {
			t.Errorf("%q: %v", limit, err)
			continue
		}
		got := []string{}
		for id := range l.Apply(nodes, inv) {
			got = append(got, id)
		}
		slices.Sort(got)
		if strings.Join(got, ",") != want {
			t.Errorf("%q selects %v, want %s", limit, got, want)
		}
	}
	for _, limit := range []string{",", "a,,b", "a,", " ", "a, ,b"} {
		if _, err := bos.ParseLimit(limit); bos.CodeOf(err) != bos.CodeInvalid {
			t.Errorf("%q: %v", limit, err)
		}
	}
	if got := bos.LimitNIDs("x1,nid1, &nid2,!nid3,xnid"); len(got) != 3 {
		t.Errorf("NIDs: %v", got)
	}
}

// A limit never selects what the boot set does not have, and reading it item
// by item is set algebra.
func TestLimitProperties(t *testing.T) {
	names := []string{"a", "b", "c", "Compute", "g", "all", "nosuch"}
	rapid.Check(t, func(t *rapid.T) {
		nodes := bos.NewSet(rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d"})).Draw(t, "nodes")...)
		inv := bos.Inventory{
			Roles:  map[string]bos.Set{"Compute": bos.NewSet("a", "x")},
			Groups: map[string]bos.Set{"g": bos.NewSet("b", "d")},
		}
		var items []string
		want := bos.Set{}
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			op := rapid.SampledFrom([]string{"", "&", "!"}).Draw(t, "op")
			name := rapid.SampledFrom(names).Draw(t, "name")
			items = append(items, op+name)
			named := bos.NewSet(name)
			if set, ok := inv.Lookup(name); ok {
				named = set
			} else if name == "all" {
				named = nodes
			}
			next := bos.Set{}
			for _, id := range []string{"a", "b", "c", "d", "x", "nosuch"} {
				in, is := want.Has(id), named.Has(id)
				if op == "" && (in || is) || op == "&" && in && is || op == "!" && in && !is {
					next.Add(id)
				}
			}
			want = next
		}
		for id := range want {
			if !nodes.Has(id) {
				delete(want, id)
			}
		}
		limit, err := bos.ParseLimit(strings.Join(items, ","))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, limit.Apply(nodes, inv)); diff != "" {
			t.Fatalf("%v: %s", items, diff)
		}
	})
}

func TestKernelParameters(t *testing.T) {
	rootfs := &bos.Artifact{Path: "s3://b/i/rootfs", ETag: "e"}
	tests := []struct {
		name  string
		image string
		set   bos.BootSet
		fs    *bos.Artifact
		want  string
		err   string
	}{
		{name: "nothing", want: "bos_update_frequency=4h"},
		{name: "image's words", image: " a=1\n b \t", set: bos.BootSet{KernelParameters: bos.Some("c  d")}, want: "a=1 b c  d bos_update_frequency=4h"},
		{name: "sbps", set: bos.BootSet{RootfsProvider: bos.Some("sbps")}, fs: rootfs,
			want: "root=sbps-s3:s3://b/i/rootfs:e nmd_data=url=s3://b/i/rootfs,etag=e bos_update_frequency=4h"},
		{name: "sbps passthrough", set: bos.BootSet{RootfsProvider: bos.Some("sbps"), RootfsProviderPassthrough: bos.Some("x:y")}, fs: rootfs,
			want: "root=sbps-s3:s3://b/i/rootfs:e:x:y nmd_data=url=s3://b/i/rootfs,etag=e bos_update_frequency=4h"},
		{name: "passthrough alone", set: bos.BootSet{RootfsProviderPassthrough: bos.Some("x:y")}, want: "root=::x:y bos_update_frequency=4h"},
		{name: "sbps without rootfs", set: bos.BootSet{RootfsProvider: bos.Some("sbps")}, err: "no root file system"},
		{name: "other provider", set: bos.BootSet{RootfsProvider: bos.Some("cpss3")}, err: "cpss3"},
		{name: "too long", image: strings.Repeat("a ", 3000), err: "at most 4096"},
	}
	for _, tt := range tests {
		got, err := bos.KernelParameters(bos.KernelParts{Image: tt.image, BootSet: &tt.set, Rootfs: tt.fs, UpdateFrequency: "4h"})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error %v", tt.name, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestSameArtifacts(t *testing.T) {
	with := func(p string) bos.BootArtifacts {
		return bos.BootArtifacts{Kernel: bos.Some("k"), Initrd: bos.Some("i"), KernelParameters: bos.Some(p)}
	}
	if !bos.SameArtifacts(with("a spire_join_token=1 b"), with("a b")) || !bos.SameArtifacts(with("a spire_join_token=1"), with("a spire_join_token=2")) {
		t.Error("the join token counts")
	}
	if bos.SameArtifacts(with("a"), with("b")) || bos.SameArtifacts(with("a"), bos.BootArtifacts{KernelParameters: bos.Some("a")}) {
		t.Error("different artifacts are the same")
	}
}

func TestImageID(t *testing.T) {
	for path, want := range map[string]string{
		"s3://boot-images/abc/manifest.json":  "abc",
		"s3://boot-images/deleted/abc/kernel": "deleted",
		"s3://boot-images/manifest.json":      "",
		"img/x":                               "img",
		"x":                                   "",
		"":                                    "",
		"s3://b":                              "",
		"http://b/id/x":                       "id",
		"s3://b//id/x":                        "id",
		"s3://boot-images/abc/":               "",
		"s3://boot-images/a-b-c/d/e/f/g/manifest": "a-b-c",
		"s3:/img/x":          "img",
		"s3:img/x":           "img",
		"S3+x-1.0://b/img/x": "img",
		"3s:img/x":           "3s:img",
		"s 3://b/img/x":      "s 3:",
		"//b/img/x":          "img",
		":img/x":             ":img",
	} {
		if got := bos.ImageID(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestManifest(t *testing.T) {
	m, err := bos.ParseManifest([]byte(`{"version":"1.0","artifacts":[
		{"type":"application/vnd.cray.image.kernel","link":{"path":"s3://b/k","etag":"e","type":"s3"}},
		{"type":"application/vnd.cray.image.initrd","link":{"path":"s3://b/i"}},
		{"type":"application/vnd.cray.image.initrd","link":{"path":"s3://b/i2"}},
		{"type":"application/vnd.cray.image.rootfs.squashfs","link":{}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := m.Find(bos.ArtifactKernel); err != nil || k != (bos.Artifact{Path: "s3://b/k", ETag: "e"}) {
		t.Errorf("kernel: %v, %v", k, err)
	}
	if _, err := m.Find(bos.ArtifactInitrd); err == nil || !strings.Contains(err.Error(), "2 artifacts") {
		t.Errorf("two of one type: %v", err)
	}
	if _, err := m.Find(bos.ArtifactRootfs); err == nil || !strings.Contains(err.Error(), "no path") {
		t.Errorf("no path: %v", err)
	}
	if _, err := m.Find(bos.ArtifactBootParameters); !errors.Is(err, bos.ErrNoArtifact) {
		t.Errorf("missing: %v", err)
	}
	for _, bad := range []string{"", "[]", "null", `"x"`, "{", `{"artifacts":5}`, `{}`, "{\"artifacts\":[\"\xff\"]}", `{"artifacts":[5]}`} {
		if _, err := bos.ParseManifest([]byte(bad)); bos.CodeOf(err) != bos.CodeInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOptions(t *testing.T) {
	o, unknown, err := bos.DefaultOptions().Patch([]byte(`{"polling_frequency":5,"foo":{"a":[1]},"POLLING_FREQUENCY":7}`))
	if err != nil || o.PollingFrequency != 5 || len(unknown) != 2 {
		t.Fatalf("%+v %v %v", o, unknown, err)
	}
	echo, err := o.Echo(unknown)
	if err != nil || string(echo["foo"]) != `{"a":[1]}` || string(echo["polling_frequency"]) != "5" || len(echo) != 22 {
		t.Errorf("echo: %v, %v", echo, err)
	}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := bos.DecodeOptions(data); err != nil || back != o {
		t.Errorf("%+v, %v", back, err)
	}
	for _, ttl := range []string{"0h", "30m", "4h\n", "", "4"} {
		text, _ := json.Marshal(map[string]string{"component_actual_state_ttl": ttl})
		if o, err := bos.DecodeOptions(text); err != nil || o.ComponentActualStateTTL != "4h" {
			t.Errorf("ttl %q reads as %q, %v", ttl, o.ComponentActualStateTTL, err)
		}
	}
	if o, _ := bos.DecodeOptions([]byte(`{"component_actual_state_ttl":"2W"}`)); o.ActualStateTTL() != 14*24*time.Hour {
		t.Errorf("2W is %v", o.ActualStateTTL())
	}
	if got := (bos.Options{MaxComponentBatchSize: 5}).BatchSize(1000); got != 5 {
		t.Errorf("batch size %d", got)
	}
	if got := (bos.Options{}).BatchSize(1000); got != 1000 {
		t.Errorf("batch size %d", got)
	}
	if (bos.Options{}).Polling() <= 0 || (bos.Options{}).Discovery() <= 0 {
		t.Error("a frequency of 0 spins")
	}
}

func TestSummarize(t *testing.T) {
	rec := func(doc string) *bos.Record { return &bos.Record{Component: decode(t, doc)} }
	s := bos.Session{Status: bos.SessionStatus{StartTime: "2026-11-23T00:00:00", Status: bos.SessionRunning}}
	active := []*bos.Record{
		rec(`{"id":"a","enabled":true,"status":{"phase":"powering_on"},"error":"bad"}`),
		rec(`{"id":"b","enabled":true,"status":{"phase":"powering_on","status_override":"on_hold"}}`),
		rec(`{"id":"c","enabled":false,"status":{"phase":"powering_off","status_override":"failed"},"error":"bad"}`),
		rec(`{"id":"d","enabled":false}`),
	}
	got := bos.Summarize(&s, active, 2, time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC))
	want := bos.ExtendedStatus{
		Status: bos.SessionRunning, ManagedComponentsCount: 6,
		Phases:        bos.PhasePercentages{PercentComplete: 33.33, PercentPoweringOn: 16.67},
		PercentStaged: 33.33, PercentSuccessful: 16.67, PercentFailed: 16.67,
		ErrorSummary: map[string]bos.ErrorSummary{"bad": {Count: 2, List: "a,c"}},
		Timing:       bos.Timing{StartTime: "2026-11-23T00:00:00", Duration: "1:00:00"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if empty := bos.Summarize(&s, nil, 0, testTime); empty.ManagedComponentsCount != 0 || empty.ErrorSummary == nil {
		t.Errorf("%+v", empty)
	}
	var many []*bos.Record
	for _, c := range "abcdefghijkl" {
		many = append(many, rec(`{"id":"`+string(c)+`","error":"e"}`))
	}
	if list := bos.Summarize(&s, many, 0, testTime).ErrorSummary["e"].List; list != "a,b,c,d,e,f,g,h,i,j..." {
		t.Errorf("list %q", list)
	}
}

func TestSessionPatch(t *testing.T) {
	rec := bos.NewSession(bos.SessionCreate{Operation: bos.OperationBoot, TemplateName: "t"}, "", "uid-1", testTime)
	if rec.Session.Name != "uid-1" || rec.Session.Status.Status != bos.SessionPending {
		t.Fatalf("%+v", rec)
	}
	patch := func(rec bos.SessionRecord, body string) (bos.SessionRecord, error) {
		var p bos.SessionPatch
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		return rec.Patch(p, "uid-2")
	}
	got, err := patch(rec, `{"components":"a,b","status":{"status":"complete","end_time":"2026-11-24","error":"e"}}`)
	if err != nil || got.Session.Components != "a,b" || *got.Session.Status.EndTime != "2026-11-24" || *got.Session.Status.Error != "e" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = patch(got, `{"status":{"end_time":null,"error":null}}`); err != nil || got.Session.Status.EndTime != nil || got.Session.Status.Error != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err = patch(rec, `{"status":{"start_time":"soon"}}`); bos.CodeOf(err) != bos.CodeInvalid || !strings.Contains(err.Error(), "status.start_time") {
		t.Errorf("%v", err)
	}
	got.Sealed.Setup = bos.SetupApplied
	if again, _ := patch(got, `{"status":{"status":"pending"}}`); again.Sealed.UID != "uid-2" || again.Sealed.Setup != bos.SetupNew {
		t.Errorf("sent back to pending: %+v", again.Sealed)
	}
	data, err := json.Marshal(rec.Session)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "session", `{"components":"","include_disabled":false,"limit":"","name":"uid-1","operation":"boot","stage":false,
		"status":{"end_time":null,"error":null,"start_time":"`+testStamp+`","status":"pending"},"template_name":"t","tenant":null}`, data)
}

func TestSessionFilter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := bos.Session{Status: bos.SessionStatus{StartTime: "2026-11-22T12:00:00", Status: bos.SessionRunning}}
	tests := []struct {
		f    bos.SessionFilter
		want bool
	}{
		{bos.SessionFilter{}, true},
		{bos.SessionFilter{Status: bos.SessionRunning}, true},
		{bos.SessionFilter{Status: bos.SessionComplete}, false},
		{bos.SessionFilter{MinAge: bos.Some(time.Hour)}, true},
		{bos.SessionFilter{MinAge: bos.Some(25 * time.Hour)}, false},
		{bos.SessionFilter{MaxAge: bos.Some(time.Hour)}, false},
		{bos.SessionFilter{MaxAge: bos.Some(25 * time.Hour)}, true},
		{bos.SessionFilter{MaxAge: bos.Some(time.Duration(0))}, false},
	}
	for _, tt := range tests {
		if got := tt.f.Match(&s, now); got != tt.want {
			t.Errorf("%+v: %v", tt.f, got)
		}
	}
}

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

func TestErrors(t *testing.T) {
	err := bos.Unavailable("pcs", errors.New("dial tcp"))
	if !bos.IsUnavailable(err) || bos.UserText(err) != "pcs is not available" || err.Error() != "pcs is not available: dial tcp" {
		t.Errorf("%v", err)
	}
	if bos.CodeOf(errors.New("x")) != bos.CodeInternal || bos.CodeOf(nil) != "" || strings.Contains(bos.UserText(errors.New("secret")), "secret") {
		t.Error("plain errors")
	}
	if (&bos.Error{Err: errors.New("x")}).Error() != "x" {
		t.Error("no message")
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A.b-c_d9": true, strings.Repeat("n", 127): true, strings.Repeat("n", 128): false,
		"": false, "-a": false, "a-": false, ".": false, "a b": false, "a\n": false, "é": false, "a/b": false,
	} {
		if bos.ValidName(name) != want {
			t.Errorf("%q", name)
		}
	}
}
