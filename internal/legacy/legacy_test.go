// SPDX-License-Identifier: MIT

package legacy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/legacy"
	"bos/internal/store"
)

// noon is the moment of the imports here.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func at() legacy.When { return legacy.When{Now: noon, Instant: 1_000_000_000} }

// key is the original's key of something of a tenant.
func key(tenant, name string) string {
	return legacy.StoredKey(bos.SessionKey{Tenant: tenant, Name: name})
}

func raw(key, value string) legacy.Raw { return legacy.Raw{Key: key, Value: []byte(value)} }

// lines are what is reported of a result.
func lines(r legacy.Result) []string {
	var out []string
	for _, c := range r.Changes {
		out = append(out, c.String())
	}
	for _, l := range r.Left {
		out = append(out, l.String())
	}
	return out
}

// find returns the document of a key.
func find(t *testing.T, r legacy.Result, key string) legacy.Document {
	t.Helper()
	for _, d := range r.Documents {
		if d.Key == key {
			return d
		}
	}
	t.Fatalf("there is no document %q; reported: %q", key, lines(r))
	return legacy.Document{}
}

func template(t *testing.T, r legacy.Result, tenant, name string) string {
	t.Helper()
	var rec bos.TemplateRecord
	if err := json.Unmarshal(find(t, r, store.TemplateKey(bos.TemplateKey{Tenant: tenant, Name: name})).Value, &rec); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(rec.Template)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func session(t *testing.T, r legacy.Result, tenant, name string) bos.SessionRecord {
	t.Helper()
	var rec bos.SessionRecord
	if err := json.Unmarshal(find(t, r, store.SessionKey(bos.SessionKey{Tenant: tenant, Name: name})).Value, &rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

func component(t *testing.T, r legacy.Result, id string) bos.Record {
	t.Helper()
	var rec bos.Record
	if err := json.Unmarshal(find(t, r, store.ComponentKey(id)).Value, &rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestTemplates(t *testing.T) {
	for name, c := range map[string]struct {
		is, want string
		report   []string
	}{
		"as it should be": {
			is: `{"name":"t","tenant":null,"enable_cfs":true,"cfs":{"configuration":"c"},"boot_sets":{` +
				`"b":{"path":"s3://p","type":"s3","node_list":["x1"],"arch":"ARM"},"a":{"path":"s3://p","type":"s3","node_groups":["g"],"arch":"X86"}}}`,
			want: `{"name":"t","tenant":null,"enable_cfs":true,"cfs":{"configuration":"c"},"boot_sets":{` +
				`"b":{"path":"s3://p","type":"s3","node_list":["x1"],"arch":"ARM"},"a":{"path":"s3://p","type":"s3","node_groups":["g"],"arch":"X86"}}}`,
		},
		"of an older version": {
			is: `{"name":"t","tenant":"","description":"","partition":"p1","links":[],"enable_cfs":"True","cfs":{"clone_url":"u","configuration":""},"boot_sets":{` +
				`"b c":{"name":"b c","path":"s3://p","type":"S3","boot_ordinal":2,"network":"nmn","etag":null,"rootfs_provider":"",` +
				`"kernel_parameters":"quiet\nbss_referral_token=1\n","node_list":["X03000C00S01B00N0",""],"node_groups":[],"cfs":{},"arch":"arm"}}}`,
			want: `{"name":"t","tenant":null,"enable_cfs":true,"boot_sets":{"auto_renamed_b_c":{"path":"s3://p","type":"s3",` +
				`"kernel_parameters":"quiet","node_list":["x3000c0s1b0n0"],"arch":"ARM"}}}`,
			report: []string{
				"templates t: enable_cfs: a text became a boolean",
				"templates t: cfs.clone_url: dropped: there is no such field",
				"templates t: cfs: dropped: it names no configuration",
				"templates t: description: dropped: it is empty",
				`templates t: boot_sets.b c: renamed to "auto_renamed_b_c": names are letters, digits, '-', '.' and '_'`,
				"templates t: boot_sets.b c.etag: dropped: null stands for a field that was never set",
				"templates t: boot_sets.b c.kernel_parameters: line breaks became blanks",
				"templates t: boot_sets.b c.cfs: dropped: it names no configuration",
				"templates t: boot_sets.b c.node_list: an empty item was dropped",
				"templates t: boot_sets.b c.node_groups: dropped: it is empty",
				`templates t: boot_sets.b c.arch: "arm" became "ARM"`,
				`templates t: boot_sets.b c.type: "S3" became "s3", the only one that works`,
				"templates t: boot_sets.b c.name: dropped: a boot set's name is its key",
				"templates t: boot_sets.b c.rootfs_provider: dropped: it is empty",
				"templates t: boot_sets.b c.kernel_parameters: bss_referral_token taken out: BOS adds it itself",
				"templates t: boot_sets.b c.boot_ordinal: dropped: there is no such field",
				"templates t: boot_sets.b c.network: dropped: there is no such field",
				"templates t: partition: dropped: there is no such field",
				"templates t: links: dropped: there is no such field",
				`templates t: boot_sets.auto_renamed_b_c.node_list: "X03000C00S01B00N0" became "x3000c0s1b0n0"`,
			},
		},
		"names no nodes":       {is: `{"name":"t","boot_sets":{"b":{"path":"p","type":"s3","node_list":[]}}}`, report: []string{"left out: boot_sets.b: one of node_list"}},
		"has no path":          {is: `{"name":"t","boot_sets":{"b":{"type":"s3","node_list":["x1"]}}}`, report: []string{"left out: boot_sets.b has no path"}},
		"has no boot sets":     {is: `{"name":"t","boot_sets":{}}`, report: []string{"left out: it has 0 boot sets"}},
		"selects other nodes":  {is: `{"name":"t","boot_sets":{"b":{"path":"p","type":"s3","node_list":["x1",{}]}}}`, report: []string{"left out: boot_sets.b.node_list[1] is no text"}},
		"of an unknown arch":   {is: `{"name":"t","boot_sets":{"b":{"path":"p","type":"s3","node_list":["x1"],"arch":"RISC"}}}`, report: []string{`left out: boot_sets.b.arch is none of`}},
		"has no name":          {is: `{"boot_sets":{}}`, report: []string{"left out: it has no name"}},
		"is no object":         {is: `[]`, report: []string{"left out: it is no JSON object"}},
		"is no JSON":           {is: `{"name":"t"`, report: []string{"left out: it is no JSON"}},
		"is no text":           {is: "\xff\xfe", report: []string{"left out: it is not in UTF-8"}},
		"of an odd tenant":     {is: `{"name":"t","tenant":{}}`, report: []string{"left out: tenant is no text"}},
		"of an endless tenant": {is: `{"name":"t","tenant":"` + strings.Repeat("x", 128) + `"}`, report: []string{"left out: tenant has 128 characters"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := legacy.Convert(legacy.Dump{legacy.Templates: {raw(key("", "t"), c.is)}}, at())
			if c.want == "" {
				if got := lines(r); len(got) != 1 || !strings.Contains(got[0], c.report[0]) || len(r.Documents) > 0 {
					t.Errorf("reported %q and made %d documents", got, len(r.Documents))
				}
				return
			}
			if diff := cmp.Diff(c.want, template(t, r, "", "t")); diff != "" {
				t.Error(diff)
			}
			got, want := lines(r), slices.Clone(c.report)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func plainTemplate(tenant, name string) legacy.Raw {
	text := fmt.Sprintf(`{"name":%q,"tenant":%q,"boot_sets":{"b":{"path":"p","type":"s3","node_list":["x1"],"arch":"X86"}}}`, name, tenant)
	return raw(key(tenant, name), text)
}

func plainSession(tenant, name, template, status, components string) legacy.Raw {
	text := fmt.Sprintf(`{"name":%q,"tenant":%q,"operation":"reboot","template_name":%q,"limit":"","stage":false,"include_disabled":false,`+
		`"components":%q,"status":{"start_time":"2026-11-25T11:00:00","end_time":null,"status":%q,"error":null}}`,
		name, tenant, template, components, status)
	return raw(key(tenant, name), text)
}

// Names that are not allowed are replaced, each by another, the same at every
// time; what refers to them follows.
func TestNames(t *testing.T) {
	dump := func() legacy.Dump {
		return legacy.Dump{
			legacy.Templates: {
				plainTemplate("", "my template"), plainTemplate("", "my_template!"), plainTemplate("", "auto_renamed_taken"),
				plainTemplate("", "taken-"), plainTemplate("blue", "my template"), plainTemplate("", "ä"), plainTemplate("", strings.Repeat("n", 300)),
			},
			legacy.Sessions:   {plainSession("", "a session", "my template", "running", "x1"), plainSession("", "s2", "gone one", "complete", "")},
			legacy.Components: {raw("x1", `{"id":"x1","session":"a session","staged_state":{"session":"a session"}}`)},
		}
	}
	r := legacy.Convert(dump(), at())
	backward := dump()
	for db := range backward {
		slices.Reverse(backward[db])
	}
	again := legacy.Convert(backward, at())
	names := map[string]bool{}
	for i, d := range r.Documents {
		if again.Documents[i].Key != d.Key {
			t.Errorf("%q is once %q, once %q", d.Name, d.Key, again.Documents[i].Key)
		}
		if d.Database == legacy.Templates {
			_, name, _ := strings.Cut(d.Key, "\x00")
			if names[d.Key] = true; !bos.ValidName(name) {
				t.Errorf("%q is kept as %q", d.Name, name)
			}
		}
	}
	if len(names) != 7 {
		t.Errorf("7 templates are kept as %d", len(names))
	}
	if got := template(t, r, "", "auto_renamed_my_template"); !strings.Contains(got, `"description":"Former name: my template"`) {
		t.Error(got)
	}
	template(t, r, "blue", "auto_renamed_my_template")
	if s := session(t, r, "", "auto_renamed_a_session"); s.Session.TemplateName != "auto_renamed_my_template" {
		t.Errorf("the session refers to %q", s.Session.TemplateName)
	}
	if s := session(t, r, "", "s2"); s.Session.TemplateName != "auto_renamed_gone_one" {
		t.Errorf("the session refers to %q", s.Session.TemplateName)
	}
	if c := component(t, r, "x1"); c.Component.Session.Value() != "auto_renamed_a_session" || c.Component.StagedSession() != "auto_renamed_a_session" {
		t.Errorf("the component refers to %q and %q", c.Component.Session.Value(), c.Component.StagedSession())
	}
}

// A document counts as what it says it is, unless another is that already.
func TestMisplaced(t *testing.T) {
	moved := plainTemplate("", "t")
	moved.Key = "elsewhere"
	if r := legacy.Convert(legacy.Dump{legacy.Templates: {moved}}, at()); len(r.Changes) != 1 || len(r.Documents) != 1 {
		t.Errorf("alone: %q", lines(r))
	}
	if r := legacy.Convert(legacy.Dump{legacy.Templates: {moved, plainTemplate("", "t")}}, at()); len(r.Left) != 1 || len(r.Documents) != 1 {
		t.Errorf("beside another: %q", lines(r))
	}
	if r := legacy.Convert(legacy.Dump{legacy.Components: {raw("x1", `{"id":"x2"}`)}}, at()); len(r.Left) != 1 || len(r.Documents) != 0 {
		t.Errorf("a component: %q", lines(r))
	}
}

func TestSessions(t *testing.T) {
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf("x%dc0s0b0n0", i))
	}
	r := legacy.Convert(legacy.Dump{legacy.Sessions: {
		plainSession("", "runs", "t", "running", strings.Join(many, ",")),
		plainSession("blue", "waits", "t", "pending", "x1"),
		raw(key("", "timeless"), `{"name":"timeless","operation":"BOOT","template_name":"t","status":{"status":"complete","end_time":"2026-11-01T00:00:00Z","start_time":"soon"}}`),
		raw(key("", "never"), `{"name":"never","operation":"boot","template_name":"t","status":{"status":"complete"}}`),
		raw(key("", "wide"), `{"name":"wide","operation":"boot","template_name":"t","limit":["x1"],"status":{"status":"pending"}}`),
		raw(key("", "odd"), `{"name":"odd","operation":"explode","template_name":"t","status":{"status":"pending"}}`),
	}}, at())
	runs := session(t, r, "", "runs")
	chunks := find(t, r, store.SessionKey(runs.Session.Key())).Chunks
	if runs.Sealed.Setup != bos.SetupApplied || runs.Sealed.Chunks != 3 || runs.Sealed.Nodes != 5000 || len(chunks) != 3 || runs.Session.Components != "" {
		t.Errorf("a session that runs: %+v, %d chunks", runs.Sealed, len(chunks))
	}
	var got []string
	for n, c := range chunks {
		var chunk bos.PlanChunk
		if err := json.Unmarshal(c.Value, &chunk); err != nil || c.Key != store.PlanKey(runs.Sealed.UID, n) || chunk.UID != runs.Sealed.UID || !chunk.Applied {
			t.Fatalf("chunk %d: %v, %+v", n, err, c.Key)
		}
		for _, node := range chunk.Nodes {
			got = append(got, node.ID)
		}
	}
	if !slices.Equal(got, many) {
		t.Error("the members are not the components")
	}
	if s := session(t, r, "blue", "waits"); s.Sealed.Setup != bos.SetupNew || s.Session.Components != "" || s.Session.Status.Status != bos.SessionPending {
		t.Errorf("a pending session: %+v", s)
	}
	if s := session(t, r, "", "timeless"); s.Session.Operation != bos.OperationBoot || s.Session.Status.StartTime != "2026-11-01T00:00:00" {
		t.Errorf("without a start: %+v", s.Session)
	}
	// What is derived from the moment of the import makes no difference later.
	later := at()
	later.Now = noon.Add(time.Hour)
	never := raw(key("", "never"), `{"name":"never","operation":"boot","template_name":"t","status":{"status":"complete"}}`)
	k := store.SessionKey(bos.SessionKey{Name: "never"})
	once := find(t, r, k)
	twice := find(t, legacy.Convert(legacy.Dump{legacy.Sessions: {never}}, later), k)
	if bytes.Equal(once.Value, twice.Value) || !twice.Same(once.Value) {
		t.Errorf("an hour later it differs: %s, %s", once.Value, twice.Value)
	}
	var left []string
	for _, l := range r.Left {
		left = append(left, l.String())
	}
	want := []string{
		`sessions odd: left out: operation is none of ["boot" "reboot" "shutdown"]`,
		"sessions timeless: status.start_time: left out: is no date and time",
		"sessions wide: left out: limit is no text",
	}
	slices.Sort(left)
	if diff := cmp.Diff(want, left); diff != "" {
		t.Error(diff)
	}
}
