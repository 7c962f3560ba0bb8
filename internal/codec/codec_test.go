// SPDX-License-Identifier: MIT

package codec_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/codec"
)

// opt draws a value that may be absent.
func opt[T any](t *rapid.T, name string, of *rapid.Generator[T]) bos.Opt[T] {
	if rapid.Bool().Draw(t, name+" is there") {
		return bos.Some(of.Draw(t, name))
	}
	return bos.Opt[T]{}
}

func artifacts() *rapid.Generator[bos.BootArtifacts] {
	return rapid.Custom(func(t *rapid.T) bos.BootArtifacts {
		return bos.BootArtifacts{
			Kernel: opt(t, "kernel", rapid.String()), KernelParameters: opt(t, "parameters", rapid.String()), Initrd: opt(t, "initrd", rapid.String()),
		}
	})
}

func records() *rapid.Generator[bos.Record] {
	return rapid.Custom(func(t *rapid.T) bos.Record {
		str, num := rapid.String(), rapid.IntRange(-1<<40, 1<<40)
		r := bos.Record{Component: bos.Component{
			ID: str.Draw(t, "id"),
			ActualState: opt(t, "actual", rapid.Custom(func(t *rapid.T) bos.ActualState {
				return bos.ActualState{BootArtifacts: opt(t, "artifacts", artifacts()), BSSToken: opt(t, "token", str), LastUpdated: opt(t, "time", str)}
			})),
			DesiredState: opt(t, "desired", rapid.Custom(func(t *rapid.T) bos.DesiredState {
				return bos.DesiredState{BootArtifacts: opt(t, "artifacts", artifacts()), Configuration: opt(t, "configuration", str), BSSToken: opt(t, "token", str), LastUpdated: opt(t, "time", str)}
			})),
			StagedState: opt(t, "staged", rapid.Custom(func(t *rapid.T) bos.StagedState {
				return bos.StagedState{BootArtifacts: opt(t, "artifacts", artifacts()), Configuration: opt(t, "configuration", str), Session: opt(t, "session", str), LastUpdated: opt(t, "time", str)}
			})),
			LastAction: opt(t, "action", rapid.Custom(func(t *rapid.T) bos.LastAction {
				return bos.LastAction{Action: opt(t, "action", rapid.Just(bos.ActionPoweringOn)), Failed: opt(t, "failed", rapid.Bool()), LastUpdated: opt(t, "time", str)}
			})),
			EventStats: opt(t, "stats", rapid.Custom(func(t *rapid.T) bos.EventStats {
				return bos.EventStats{PowerOnAttempts: opt(t, "on", num), PowerOffGracefulAttempts: opt(t, "soft", num), PowerOffForcefulAttempts: opt(t, "force", num)}
			})),
			Status: opt(t, "status", rapid.Custom(func(t *rapid.T) bos.Status {
				return bos.Status{Phase: opt(t, "phase", rapid.Just(bos.PhaseConfiguring)), StatusOverride: opt(t, "override", str)}
			})),
			Enabled: opt(t, "enabled", rapid.Bool()), Error: opt(t, "error", str), Session: opt(t, "session", str), RetryPolicy: opt(t, "retries", num),
		}}
		if rapid.Bool().Draw(t, "sealed") {
			r.Sealed = bos.Sealed{
				Owner: str.Draw(t, "owner"), StagedOperation: bos.OperationReboot, StagedApplied: true, Plan: str.Draw(t, "plan"), ActualAt: 5, ActionAt: 7,
				Attempt: &bos.AttemptMark{ID: str.Draw(t, "attempt"), Action: bos.ActionPoweringOn, At: 3, LastAction: bos.LastAction{Failed: bos.Some(true)}},
				Wait:    &bos.Wait{By: "power-on", On: "bss", Since: 4, Text: str.Draw(t, "text")},
			}
		}
		return r
	})
}

// TestDecodesLikeTheLibrary compares with encoding/json, with and without shared
// texts, over documents that are whole and documents with a byte that is wrong.
func TestDecodesLikeTheLibrary(t *testing.T) {
	decoders := map[string]*codec.Decoder{"sharing": sharing(), "plain": codec.NewDecoder(nil)}
	rapid.Check(t, func(t *rapid.T) {
		data, err := json.Marshal(records().Draw(t, "record"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 3).Draw(t, "break") == 0 {
			data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.SampledFrom([]byte(`{}[]",:n0tf\`)).Draw(t, "with")
		}
		if !utf8.Valid(data) {
			t.Skip("the byte hit another character; the front has refused such a text before")
		}
		var want bos.Record
		wantErr := json.Unmarshal(data, &want)
		for name, d := range decoders {
			var got bos.Record
			err := d.Decode(data, &got)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%s: %s: %v; encoding/json: %v", name, data, err, wantErr)
			}
			if err == nil {
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(
					bos.Opt[string]{}, bos.Opt[bool]{}, bos.Opt[int]{}, bos.Opt[bos.Phase]{}, bos.Opt[bos.Action]{}, bos.Opt[bos.BootArtifacts]{},
					bos.Opt[bos.ActualState]{}, bos.Opt[bos.DesiredState]{}, bos.Opt[bos.StagedState]{}, bos.Opt[bos.LastAction]{}, bos.Opt[bos.EventStats]{}, bos.Opt[bos.Status]{},
				)); diff != "" {
					t.Fatalf("%s: %s: %s", name, data, diff)
				}
			}
		}
	})
}

func TestRefuses(t *testing.T) {
	d := codec.NewDecoder(nil)
	for _, bad := range []string{
		`{"session":null}`, `{"session":1}`, `{"enabled":"true"}`, `{"enabled":null}`, `{"retry_policy":null}`, `{"retry_policy":1.5}`,
		`{"retry_policy":"3"}`, `{"status":null}`, `{"status":[]}`, `{"status":{"phase":null}}`, `{"desired_state":{"boot_artifacts":null}}`,
		`{"session":"a"`, `{"session":"a"}x`, `[]`, ``,
	} {
		var c bos.Component
		if err := d.Decode([]byte(bad), &c); err == nil {
			t.Errorf("%s: accepted as %+v", bad, c)
		}
	}
	var c bos.Component
	if err := d.Decode([]byte(`{"id":"x1","later":{"a":[1,null]},"session":"\u0061\n"}`), &c); err != nil || c.ID != "x1" || c.Session.Value() != "a\n" {
		t.Errorf("%+v, %v", c, err)
	}
}

// sharing is a decoder with one copy of each text.
func sharing() *codec.Decoder {
	texts := map[string]string{}
	return codec.NewDecoder(func(b []byte) string {
		if s, ok := texts[string(b)]; ok {
			return s
		}
		texts[string(b)] = string(b)
		return texts[string(b)]
	})
}

func same(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }

func TestTextsAreShared(t *testing.T) {
	d := sharing()
	var a, b bos.Component
	for _, c := range []*bos.Component{&a, &b} {
		if err := d.Decode([]byte(`{"id":"x","session":"boot-compute","error":"a \"quoted\" text"}`), c); err != nil {
			t.Fatal(err)
		}
	}
	if !same(a.Session.Value(), b.Session.Value()) || !same(a.Error.Value(), b.Error.Value()) {
		t.Error("the same text is kept twice")
	}
}

func document() []byte {
	a := bos.Some(bos.BootArtifacts{
		Kernel: bos.Some("s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/kernel"), Initrd: bos.Some("s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/initrd"),
		KernelParameters: bos.Some(strings.Repeat("console=ttyS0,115200 crashkernel=512M rd.neednet=1 ip=dhcp quiet ", 10)),
	})
	token, now := bos.Some("8d1b7f6e-2c34-4f5a-9b0d-6a7c8e9f0a1b"), bos.Some("2025-01-02T03:04:05")
	r := bos.Record{Component: bos.Component{
		ID: "x1000c0s0b0n0", ActualState: bos.Some(bos.ActualState{BootArtifacts: a, BSSToken: token, LastUpdated: now}),
		DesiredState: bos.Some(bos.DesiredState{BootArtifacts: a, BSSToken: token, Configuration: bos.Some("compute-25.11"), LastUpdated: now}),
		StagedState:  bos.Some(bos.StagedState{}),
		LastAction:   bos.Some(bos.LastAction{Action: bos.Some(bos.ActionPoweringOn), Failed: bos.Some(false), LastUpdated: now}),
		EventStats:   bos.Some(bos.ZeroEventStats()), Status: bos.Some(bos.Status{Phase: bos.Some(bos.PhaseNone), StatusOverride: bos.Some("")}),
		Enabled: bos.Some(true), Error: bos.Some(""), Session: bos.Some("boot-compute"), RetryPolicy: bos.Some(3),
	}, Sealed: bos.Sealed{Plan: "4bf91021-8d99-4adf-945f-46de2ff50a3d", ActionAt: 5}}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // a record has a form in JSON
	}
	return data
}

func BenchmarkRecord(b *testing.B) {
	data := document()
	for name, decode := range map[string]func([]byte, any) error{
		"library": json.Unmarshal,
		"plain":   codec.NewDecoder(nil).Decode,
		"sharing": sharing().Decode,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				var r bos.Record
				if err := decode(data, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
