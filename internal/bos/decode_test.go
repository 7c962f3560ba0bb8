// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

func opt[T any](t *rapid.T, name string, gen *rapid.Generator[T]) bos.Opt[T] {
	if rapid.Bool().Draw(t, name+"?") {
		return bos.Some(gen.Draw(t, name))
	}
	return bos.Opt[T]{}
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{
		"", "x", `"`, `\`, "\n", "\x00", "é", "a\u2028b", "\xff", "s3://boot-images/i/kernel", strings.Repeat("root=x quiet ", 30), `<a&b>`,
	}), rapid.String())
}

func anyArtifacts(t *rapid.T) bos.BootArtifacts {
	return bos.BootArtifacts{
		Kernel: opt(t, "kernel", anyText()), KernelParameters: opt(t, "parameters", anyText()), Initrd: opt(t, "initrd", anyText()),
	}
}

func anyLastAction(t *rapid.T) bos.LastAction {
	action := rapid.SampledFrom([]bos.Action{"", bos.ActionPoweringOn, "odd"})
	return bos.LastAction{
		Action: opt(t, "action", action), Failed: opt(t, "failed", rapid.Bool()), LastUpdated: opt(t, "action_updated", anyText()),
	}
}

func anyRecord(t *rapid.T) bos.Record {
	artifacts := rapid.Custom(anyArtifacts)
	var r bos.Record
	r.Component = bos.Component{
		ID: anyText().Draw(t, "id"),
		ActualState: opt(t, "actual", rapid.Custom(func(t *rapid.T) bos.ActualState {
			return bos.ActualState{
				BootArtifacts: opt(t, "artifacts", artifacts), BSSToken: opt(t, "token", anyText()), LastUpdated: opt(t, "updated", anyText()),
			}
		})),
		DesiredState: opt(t, "desired", rapid.Custom(func(t *rapid.T) bos.DesiredState {
			return bos.DesiredState{
				BootArtifacts: opt(t, "artifacts", artifacts), BSSToken: opt(t, "token", anyText()),
				Configuration: opt(t, "configuration", anyText()), LastUpdated: opt(t, "updated", anyText()),
			}
		})),
		StagedState: opt(t, "staged", rapid.Custom(func(t *rapid.T) bos.StagedState {
			return bos.StagedState{
				BootArtifacts: opt(t, "artifacts", artifacts), Session: opt(t, "session", anyText()),
				Configuration: opt(t, "configuration", anyText()), LastUpdated: opt(t, "updated", anyText()),
			}
		})),
		LastAction: opt(t, "last", rapid.Custom(anyLastAction)),
		EventStats: opt(t, "stats", rapid.Custom(func(t *rapid.T) bos.EventStats {
			return bos.EventStats{
				PowerOnAttempts:          opt(t, "on", rapid.IntRange(-5, 1<<50)),
				PowerOffGracefulAttempts: opt(t, "off", rapid.IntRange(0, 3)),
				PowerOffForcefulAttempts: opt(t, "force", rapid.Int()),
			}
		})),
		Status: opt(t, "status", rapid.Custom(func(t *rapid.T) bos.Status {
			return bos.Status{
				Phase:          opt(t, "phase", rapid.SampledFrom([]bos.Phase{"", bos.PhasePoweringOn})),
				StatusOverride: opt(t, "override", anyText()),
			}
		})),
		Enabled: opt(t, "enabled", rapid.Bool()), Error: opt(t, "error", anyText()),
		Session: opt(t, "session", anyText()), RetryPolicy: opt(t, "retries", rapid.IntRange(-3, 9)),
	}
	r.Sealed = bos.Sealed{
		Owner: anyText().Draw(t, "owner"), StagedOwner: anyText().Draw(t, "staged_owner"),
		StagedOperation: rapid.SampledFrom([]bos.Operation{"", bos.OperationReboot}).Draw(t, "operation"),
		StagedApplied:   rapid.Bool().Draw(t, "applied"), Restart: rapid.Bool().Draw(t, "restart"), Plan: anyText().Draw(t, "plan"),
		ActualAt: bos.Instant(rapid.Int64Range(0, 1<<40).Draw(t, "actual_at")),
		ActionAt: bos.Instant(rapid.Int64Range(0, 9).Draw(t, "action_at")),
	}
	if rapid.Bool().Draw(t, "attempt?") {
		r.Sealed.Attempt = &bos.AttemptMark{
			ID: anyText().Draw(t, "attempt"), Action: bos.ActionPoweringOn, At: bos.Instant(rapid.Int64().Draw(t, "at")),
			LastAction: anyLastAction(t), ActionAt: bos.Instant(rapid.Int64Range(0, 2).Draw(t, "before")),
		}
	}
	if rapid.Bool().Draw(t, "wait?") {
		r.Sealed.Wait = &bos.Wait{
			By: anyText().Draw(t, "by"), On: "pcs", Since: 7, Due: bos.Instant(rapid.Int64Range(0, 9).Draw(t, "due")),
			Text: anyText().Draw(t, "text"),
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "left") {
		r.Sealed.Left = &bos.Left{
			Tenant: anyText().Draw(t, "left tenant"), Session: anyText().Draw(t, "left session"),
			CameTo: bos.StandingFailed, Error: anyText().Draw(t, "left error"), Former: r.Sealed.Left,
		}
	}
	return r
}

// TestRecordCodec holds the codec of records against encoding/json.
func TestRecordCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := anyRecord(t)
		stored := rec.AppendJSON(nil)
		type plain bos.Record
		general, err := json.Marshal(plain(rec))
		if err != nil {
			t.Fatal(err)
		}
		var want, asStored bos.Record
		if err := json.Unmarshal(general, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(stored, &asStored); err != nil {
			t.Fatalf("%s: %v", stored, err)
		}
		if asStored.Sealed.Attempt != nil && want.Sealed.Attempt != nil {
			if *asStored.Sealed.Attempt != *want.Sealed.Attempt {
				t.Fatalf("attempt %+v in place of %+v", *asStored.Sealed.Attempt, *want.Sealed.Attempt)
			}
		}
		if diff := cmp.Diff(plainly(want), plainly(asStored)); diff != "" {
			t.Fatalf("what is stored says something else: %s", diff)
		}
		got, ok := bos.DecodeRecord(stored, nil)
		if !ok {
			// Numbers of more than 18 digits alone are left to others.
			if n := rec.Component.EventStats.Value().PowerOffForcefulAttempts.Value(); n < 1e18 && n > -1e18 &&
				(rec.Sealed.Attempt == nil || rec.Sealed.Attempt.At < 1e18 && rec.Sealed.Attempt.At > -1e18) {
				t.Fatalf("not read: %s", stored)
			}
			return
		}
		if diff := cmp.Diff(plainly(want), plainly(*got)); diff != "" {
			t.Fatalf("read as something else: %s", diff)
		}
	})
}

// plainly returns a record as a text that is the same for equal ones.
func plainly(r bos.Record) string { return string(r.AppendJSON(nil)) }

// TestDecodeRecordNeverGuesses cuts and changes stored records: what is read at
// all is what encoding/json reads.
func TestDecodeRecordNeverGuesses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := anyRecord(t)
		data := rec.AppendJSON(nil)
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			data = data[:at]
		case 1:
			data[at] = rapid.SampledFrom([]byte("\"\\{}[]:, \x1f0n\xff")).Draw(t, "byte")
		case 2:
			data = append(data[:at:at], data[min(len(data), at+rapid.IntRange(1, 20).Draw(t, "cut")):]...)
		}
		got, ok := bos.DecodeRecord(data, nil)
		if !ok {
			return
		}
		var want bos.Record
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q was read, and is wrong: %v", data, err)
		}
		if diff := cmp.Diff(plainly(want), plainly(*got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkDecodeRecord(b *testing.B) {
	texts := map[string]string{}
	intern := func(text []byte) string {
		if s, ok := texts[string(text)]; ok {
			return s
		}
		texts[string(text)] = string(text)
		return string(text)
	}
	artifacts := bos.BootArtifacts{
		Kernel: bos.Some("s3://boot-images/1fb58f4e-0000-0000-0000-000000000000/kernel"), KernelParameters: bos.Some(strings.Repeat("console=ttyS0 ", 30)),
		Initrd: bos.Some("s3://boot-images/1fb58f4e-0000-0000-0000-000000000000/initrd"),
	}
	rec := bos.Record{Component: bos.Discovered("x1000c0s0b0n0")}
	rec.Component.DesiredState = bos.Some(bos.DesiredState{BootArtifacts: bos.Some(artifacts), Configuration: bos.Some("compute")})
	rec.Component.ActualState = bos.Some(bos.ActualState{BootArtifacts: bos.Some(artifacts), LastUpdated: bos.Some("2026-01-02T03:04:05")})
	data := rec.AppendJSON(nil)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := bos.DecodeRecord(data, intern); !ok {
			b.Fatal("not read")
		}
	}
}
