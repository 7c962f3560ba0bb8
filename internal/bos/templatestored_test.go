// SPDX-License-Identifier: MIT

package bos_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bos/internal/bos"
)

func templateOf(nodes []string) bos.TemplateRecord {
	rec := bos.TemplateRecord{Template: bos.Template{Name: "t", Tenant: "a"}}
	rec.Template.BootSets.Set("z", bos.BootSet{Path: "s3://b/i/m", Type: "s3", NodeList: bos.Some(nodes)})
	rec.Template.BootSets.Set("a", bos.BootSet{Path: "p", Type: "s3", KernelParameters: bos.Some("<&>")})
	return rec
}

// A template as long as the contract allows fits into a document of the store,
// and comes back as it was, small ones as readable text.
func TestStoredTemplate(t *testing.T) {
	long := make([]string, 65535)
	for i := range long {
		long[i] = fmt.Sprintf("x%dc%ds%db%dn%d", 1000+i/2048, i/256%8, i/32%64, i/2%16, i%2)
	}
	for _, tc := range []struct {
		name  string
		nodes []string
		plain bool
	}{{"short", long[:2], true}, {"long", long, false}} {
		t.Run(tc.name, func(t *testing.T) {
			rec := templateOf(tc.nodes)
			data, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 1<<20 {
				t.Errorf("%d bytes don't fit", len(data))
			}
			if got := strings.Contains(string(data), `"doc":`); got != tc.plain {
				t.Errorf("plain: %t", got)
			}
			var back bos.TemplateRecord
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			if !back.Template.BootSets.Equal(rec.Template.BootSets) || back.Template.Key() != rec.Template.Key() {
				t.Error("it came back as another one")
			}
		})
	}
}

func TestStoredTemplateIsBounded(t *testing.T) {
	_, err := json.Marshal(templateOf([]string{strings.Repeat("x", bos.MaxTemplate)}))
	if bos.CodeOf(err) != bos.CodeTooLarge {
		t.Errorf("too long: %v", err)
	}
	for _, bad := range []string{`{}`, `{"packed":"aGk="}`, `{"packed":5}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &bos.TemplateRecord{}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
