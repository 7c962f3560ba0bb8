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
