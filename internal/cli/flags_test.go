// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bos/internal/api/front"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// schema is what the tests read of a schema of the contract.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	ReadOnly   bool               `json:"readOnly"`
	Properties map[string]*schema `json:"properties"`
}

// contractSchemas returns the schemas of the contract.
func contractSchemas(t *testing.T) map[string]*schema {
	t.Helper()
	text, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	contract, err := front.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]*schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(contract.JSON(), &document); err != nil {
		t.Fatal(err)
	}
	return document.Components.Schemas
}

// fieldsOf returns the fields of a schema that may be written, with their
// types: retry_policy integer.
func fieldsOf(schemas map[string]*schema, s *schema, path string) []string {
	if s.Ref != "" {
		s = schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	if s.ReadOnly {
		return nil
	}
	if s.Type != "object" {
		return []string{strings.TrimPrefix(path, ".") + " " + s.Type}
	}
	var all []string
	for name, inner := range s.Properties {
		all = append(all, fieldsOf(schemas, inner, path+"."+name)...)
	}
	slices.Sort(all)
	return all
}

func typeOf(k kind) string {
	switch k {
	case kindBool:
		return "boolean"
	case kindNumber:
		return "integer"
	case kindString:
		return "string"
	case kindNull, kindArray, kindObject:
	}
	return "nothing that a flag is"
}

func TestEveryFieldOfAComponentIsAFlag(t *testing.T) {
	schemas := contractSchemas(t)
	var got []string
	for _, l := range leaves() {
		got = append(got, strings.Join(l.path, ".")+" "+typeOf(l.kind))
	}
	slices.Sort(got)
	want := slices.DeleteFunc(fieldsOf(schemas, schemas["ComponentInput"], ""), func(s string) bool { return s == "id string" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryOptionIsAFlag(t *testing.T) {
	schemas := contractSchemas(t)
	var got []string
	for _, o := range options() {
		got = append(got, o.name+" "+typeOf(o.kind))
	}
	if diff := cmp.Diff(fieldsOf(schemas, schemas["OptionsPatch"], ""), got); diff != "" {
		t.Error(diff)
	}
}

func TestBooleans(t *testing.T) {
	for text, want := range map[string]bool{
		"true": true, "True": true, "T": true, "yes": true, "on": true, "1": true,
		"false": false, "FALSE": false, "n": false, "off": false, "0": false,
	} {
		got := boolean(!want)
		if err := got.Set(text); err != nil || bool(got) != want {
			t.Errorf("%q is %v (%v)", text, got, err)
		}
	}
	if err := new(boolean).Set("maybe"); err == nil {
		t.Error("maybe is a truth value")
	}
}

func TestArguments(t *testing.T) {
	flags := pflag.NewFlagSet("bos", pflag.ContinueOnError)
	flags.String("url", "", "")
	a := &app{booleans: map[string]bool{}}
	a.booleanVar(flags, new(boolean), "quick", "")
	tests := []struct{ args, want string }{
		{"", ""},
		{"v2 sessions list", "sessions list"},
		{"--url x v2 sessions list", "--url x sessions list"},
		{"--url=x v2 sessions list", "--url=x sessions list"},
		{"--quick v2 sessions list", "--quick sessions list"},
		{"--quick True v2", "--quick=True"},
		{"-h v2 sessions", "-h sessions"},
		{"help v2 sessions", "help sessions"},
		{"__complete v2 ses", "__complete ses"},
		{"sessions describe v2", "sessions describe v2"},
		{"--url v2 version", "--url v2 version"},
		{"-- v2", "-- v2"},
		{"x --quick false y", "x --quick=false y"},
		{"x --quick y", "x --quick y"},
		{"x --quick", "x --quick"},
		{"x -- --quick false", "x -- --quick false"},
	}
	for _, test := range tests {
		got := dropV2(flags, a.joinBooleans(strings.Fields(test.args)))
		if diff := cmp.Diff(strings.Fields(test.want), got); diff != "" && len(got)+len(test.want) > 0 {
			t.Errorf("%s: %s", test.args, diff)
		}
	}
}

func TestLimits(t *testing.T) {
	tests := []struct{ limit, want, err string }{
		{limit: "", want: ""},
		{limit: "Compute", want: "Compute"},
		{limit: " X1c0s0b0n0 ,, !uan", want: " X1c0s0b0n0 ,, !uan"},
		{limit: "x1c0s[0-1,3]b0n0,all", want: "x1c0s0b0n0,x1c0s1b0n0,x1c0s3b0n0,all"},
		{limit: "all, !x1c0s[0-1]b0n0", want: "all,!x1c0s0b0n0,!x1c0s1b0n0"},
		{limit: "all,&x1c0s[2]b0n0", want: "all,&x1c0s2b0n0"},
		{limit: "all,&x1c0s[2-3]b0n0", err: "& can't be put"},
		{limit: "x1c0s[2-b0n0", err: "unbalanced"},
		{limit: "x1c0s[a]b0n0", err: "is no number"},
	}
	for _, test := range tests {
		got, err := expandLimit(test.limit)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q is %q (%v), not %q (%s)", test.limit, got, err, test.want, test.err)
		}
	}
}

func TestBeforeComesBefore(t *testing.T) {
	for _, prefix := range []string{"x", "x3000c0s1", "uan01", "a ", "a!", "ü"} {
		if got := before(prefix); got >= prefix {
			t.Errorf("%q does not come before %q", got, prefix)
		}
	}
}

// What is read of the answers that only this project's server gives is in the
// contract under that name.
func TestDocumentsAreThoseOfTheContract(t *testing.T) {
	schemas := contractSchemas(t)
	for name, document := range map[string]any{
		"SessionOutcome": outcome{}, "SessionCounts": counts{}, "SessionFailure": failure{}, "SessionSlowNode": slow{},
		"SessionTakenOver": takenOver{}, "SessionPlan": plan{}, "ComponentWhy": whyAnswer{},
		"Event": event{},
	} {
		known := schemas[name]
		if known == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(document)) {
			tag := field.Tag.Get("json")
			if tag != "" && known.Properties[tag] == nil {
				t.Errorf("%s has no %s", name, tag)
			}
		}
	}
}
