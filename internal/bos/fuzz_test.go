// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"bos/internal/bos"
)

func FuzzLimit(f *testing.F) {
	for _, seed := range []string{"", "x1", "all,!x1", "&Compute,!blue", "!all", "*", "x1,,x2", " x1 , & x2 ", "!&x1", "&", "nid000001,!nid2"} {
		f.Add(seed)
	}
	nodes := bos.NewSet("x1", "x2", "x3")
	inventory := bos.Inventory{
		Roles:      map[string]bos.Set{"Compute": bos.NewSet("x1", "x2", "x9")},
		Partitions: map[string]bos.Set{"p1": bos.NewSet("x3")},
		Groups:     map[string]bos.Set{"blue": bos.NewSet("x2"), "none": {}},
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := bos.ParseLimit(text)
		if err != nil {
			if bos.CodeOf(err) != bos.CodeInvalid || !strings.HasPrefix(err.Error(), "limit: ") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if limit.IsZero() != (text == "") {
			t.Fatalf("%q narrows nothing: %t", text, limit.IsZero())
		}
		for id := range limit.Apply(nodes, inventory) {
			if !nodes.Has(id) {
				t.Fatalf("%q selects %q, which is none of the boot set's", text, id)
			}
		}
		if len(nodes) != 3 || len(inventory.Roles["Compute"]) != 3 || len(inventory.Groups["blue"]) != 1 {
			t.Fatalf("%q changed what it was applied to", text)
		}
		// A set that is taken out at the end is not in it.
		without, err := bos.ParseLimit(strings.TrimPrefix(text+",!x2", ","))
		if err != nil || without.Apply(nodes, inventory).Has("x2") {
			t.Fatalf("%q,!x2: x2 is selected, %v", text, err)
		}
		for _, nid := range bos.LimitNIDs(text) {
			if !strings.Contains(nid, "nid") || !strings.Contains(text, nid) {
				t.Fatalf("%q: %q", text, nid)
			}
		}
	})
}

func FuzzKernelParameters(f *testing.F) {
	f.Add("a b", "console=ttyS0", "sbps", "sbps:v1", "s3://b/i/rootfs", "etag")
	f.Add("a\nb\x00", "a\r", "", "x", "", "")
	f.Add("spire_join_token=1", " spire_join_token=2 quiet", "ims", "", "", "")
	f.Fuzz(func(t *testing.T, image, own, provider, passthrough, path, etag string) {
		set := &bos.BootSet{
			KernelParameters: bos.Some(own), RootfsProvider: bos.Some(provider), RootfsProviderPassthrough: bos.Some(passthrough),
		}
		got, err := bos.KernelParameters(bos.KernelParts{Image: image, BootSet: set, Rootfs: &bos.Artifact{Path: path, ETag: etag}, UpdateFrequency: "4h"})
		if err != nil {
			if bos.CodeOf(err) != bos.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		if utf8.RuneCountInString(got) > bos.MaxKernelParameters || !strings.HasSuffix(got, "bos_update_frequency=4h") || !strings.Contains(got, own) {
			t.Fatalf("%q", got)
		}
		// The image's own white space never breaks a line.
		if !strings.ContainsAny(own+passthrough+path+etag, "\r\n") && strings.ContainsAny(got, "\r\n") {
			t.Fatalf("a line break in %q", got)
		}
		a := bos.BootArtifacts{KernelParameters: bos.Some(got)}
		b := bos.BootArtifacts{KernelParameters: bos.Some("spire_join_token=x " + got)}
		if !bos.SameArtifacts(a, a) || !bos.SameArtifacts(a, b) && strings.Join(strings.Fields(got), " ") == got {
			t.Fatalf("%q differs by a join token", got)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"artifacts":[{"type":"application/vnd.cray.image.kernel","link":{"path":"p"}}]}`))
	f.Add([]byte(`{"artifacts":[{"type":"application/vnd.cray.image.kernel","link":{"path":"p"}},{"type":"application/vnd.cray.image.kernel"}]}`))
	f.Add([]byte(`{"artifacts":null,"ARTIFACTS":[{"Type":"application/vnd.cray.image.initrd","LINK":{"path":"","etag":5}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := bos.ParseManifest(data)
		if err != nil {
			if bos.CodeOf(err) != bos.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		for _, kind := range []bos.ArtifactType{bos.ArtifactKernel, bos.ArtifactInitrd, bos.ArtifactRootfs, bos.ArtifactBootParameters} {
			a, err := m.Find(kind)
			if (err == nil) != (a.Path != "") || err != nil && bos.CodeOf(err) != bos.CodeInvalid && !bos.IsNotFound(err) {
				t.Fatalf("%s: %+v, %v", kind, a, err)
			}
		}
	})
}

func FuzzImageID(f *testing.F) {
	for _, path := range []string{"s3://boot-images/id/manifest.json", "s3://b//id//x", "/id/x", "id/x", "://", "s3://b/id/"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if id := bos.ImageID(path); strings.Contains(id, "/") || !strings.Contains(path, id) {
			t.Fatalf("%q: %q", path, id)
		}
	})
}

func FuzzTimes(f *testing.F) {
	for _, seed := range []string{"2026-11-23T09:26:40", "2026-11-23 09:26:40.5+01:00", "2026-02-30", "3m", "0", "10W", "99999999w", "2026-11-23T09:26:40Z", "0001-01-01", "9999-12-31T23:59:59-23"} {
		f.Add(seed, int64(0))
	}
	f.Fuzz(func(t *testing.T, text string, nanos int64) {
		if at, err := bos.ParseTimestamp(text); err == nil {
			again, err := bos.ParseTimestamp(bos.Timestamp(at))
			if err != nil || !again.Equal(at.Truncate(time.Second)) {
				t.Errorf("%q is %v, and again %v, %v", text, at, again, err)
			}
		}
		if age, err := bos.ParseAge(text); err == nil && age < 0 {
			t.Errorf("%q is %v", text, age)
		}
		if d := bos.FormatDuration(time.Duration(nanos)); !strings.Contains(d, ":") || nanos >= 0 && strings.Contains(d, "-") {
			t.Errorf("%d is %q", nanos, d)
		}
	})
}

func FuzzOptions(f *testing.F) {
	f.Add([]byte(`{"polling_frequency":5,"foo":{"a":[1]}}`), []byte(`{"clear_stage":true,"Clear_Stage":1}`))
	f.Add([]byte(`{"component_actual_state_ttl":"0h","logging_level":"x"}`), []byte(`{"max_component_batch_size":1e99}`))
	f.Add([]byte(`{"POLLING_FREQUENCY":"x"}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, stored, patch []byte) {
		o, err := bos.DecodeOptions(stored)
		if err != nil {
			o = bos.DefaultOptions()
		}
		next, unknown, err := o.Patch(patch)
		if err != nil {
			if bos.CodeOf(err) != bos.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		echo, err := next.Echo(unknown)
		if err != nil || len(echo) < 20 {
			t.Fatalf("%d options, %v", len(echo), err)
		}
		data, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		back, err := bos.DecodeOptions(data)
		if err != nil || back.PollingFrequency != next.PollingFrequency || back.ActualStateTTL() <= 0 || back.Polling() <= 0 || back.CleanupTTL() < 0 {
			t.Fatalf("%s became %+v, %v", data, back, err)
		}
	})
}

// Whatever is read as a component is written so that it reads the same.
func FuzzComponent(f *testing.F) {
	f.Add([]byte(`{"id":"x1","enabled":true,"actual_state":{"boot_artifacts":{"kernel":"k"},"bss_token":"t","last_updated":"x"},"status":{"phase":"powering_on"}}`),
		[]byte(`{"desired_state":{"configuration":"c"},"session":"s","last_action":{"action":"powering_on"},"staged_state":{"session":"s"}}`))
	f.Add([]byte(`{"id":"\u0000<é","error":"\ud83d\ude00","retry_policy":-1,"event_stats":{"power_on_attempts":1}}`), []byte(`{"status":{"status_override":"a"},"enabled":false}`))
	w := bos.Write{Now: time.Unix(1e9, 0), Tenant: "t", Tokens: func(string) (bos.BootArtifacts, bool) { return bos.BootArtifacts{}, true }}
	f.Fuzz(func(t *testing.T, stored, sent []byte) {
		var c, patch bos.Component
		if json.Unmarshal(stored, &c) != nil || json.Unmarshal(sent, &patch) != nil {
			return
		}
		for _, rec := range []bos.Record{{Component: c}, w.Patch(bos.Record{Component: c}, patch), w.Put(&bos.Record{Component: c}, patch), w.Put(nil, patch)} {
			text := rec.Component.AppendJSON(nil)
			var again bos.Component
			if err := json.Unmarshal(text, &again); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if back := again.AppendJSON(nil); string(back) != string(text) {
				t.Fatalf("%s became %s", text, back)
			}
			if shown := rec.Component.AppendView(nil); !json.Valid(shown) {
				t.Fatalf("%s is no JSON", shown)
			}
		}
	})
}

// Whatever is read as a template is written so that it reads the same, and to
// bring it into its stored form twice changes nothing more.
func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"name":"t","tenant":"a","boot_sets":{"b":{"path":"p","type":"s3","node_list":["X01C0S0B0N0"]},"a":{"path":"p","type":"s3","cfs":{}}},"cfs":{"configuration":""}}`),
		[]byte(`{"boot_sets":{"a":{"path":"q","type":"s3","cfs":{"configuration":"c"}},"c":{"path":"p","type":"s3","name":"c"}},"description":"d"}`))
	f.Fuzz(func(t *testing.T, stored, sent []byte) {
		var tmpl bos.Template
		var patch bos.TemplatePatch
		if json.Unmarshal(stored, &tmpl) != nil || json.Unmarshal(sent, &patch) != nil {
			return
		}
		merged := tmpl.Patch(patch)
		_ = bos.CheckTemplateRequest(&merged, bos.DefaultOptions())
		clean := merged.Sanitize("t", "a")
		rec := bos.TemplateRecord{Template: clean}
		text, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		var back bos.TemplateRecord
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again, err := json.Marshal(bos.TemplateRecord{Template: back.Template.Sanitize("t", "a")}); err != nil || string(again) != string(text) {
			t.Fatalf("%s became %s, %v", text, again, err)
		}
		for name, set := range clean.BootSets.All() {
			if old, ok := merged.BootSets.Get(name); !ok || old.Path != set.Path {
				t.Fatalf("boot set %q", name)
			}
		}
	})
}

func FuzzSession(f *testing.F) {
	f.Add([]byte(`{"name":"s","tenant":null,"status":{"status":"complete","start_time":"x","end_time":null}}`), []byte(`{"status":{"status":"pending","end_time":null,"error":"e"},"components":"x1"}`))
	f.Add([]byte(`{"name":"s","tenant":"t","status":{"status":"running","start_time":"2026-11-23T09:26:40"}}`), []byte(`{"status":{"end_time":"2026-02-30"}}`))
	now := time.Unix(1.7e9, 0)
	f.Fuzz(func(t *testing.T, stored, sent []byte) {
		var s bos.Session
		var patch bos.SessionPatch
		if json.Unmarshal(stored, &s) != nil || json.Unmarshal(sent, &patch) != nil {
			return
		}
		next, err := bos.SessionRecord{Session: s}.Patch(patch, "uid")
		if err != nil {
			if bos.CodeOf(err) != bos.CodeInvalid || !strings.HasPrefix(err.Error(), "status.") {
				t.Fatal(err)
			}
			return
		}
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		var back bos.SessionRecord
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := json.Marshal(back)
		if err != nil || string(again) != string(text) {
			t.Fatalf("%s became %s, %v", text, again, err)
		}
		summary, err := json.Marshal(bos.Summarize(&next.Session, nil, 0, now))
		if err != nil || !json.Valid(summary) {
			t.Fatalf("%s: %v", summary, err)
		}
		_ = bos.SessionFilter{MaxAge: bos.Some(time.Hour)}.Match(&next.Session, now)
	})
}
