// SPDX-License-Identifier: MIT

package apidoc

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// document is the API's.
const document = "../api/openapi.yaml"

func TestFresh(t *testing.T) {
	doc, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Markdown(doc)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(have), "\n")); diff != "" {
		t.Errorf("docs/api.md is stale; run 'go generate ./internal/apidoc':\n%s", diff)
	}
}

// TestLinks checks that every link inside the page leads to a heading.
func TestLinks(t *testing.T) {
	have, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(have)
	headings := map[string]int{}
	for line := range strings.Lines(page) {
		if hashes, heading, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.Trim(hashes, "#") == "" {
			headings[anchor(heading)]++
		}
	}
	links := 0
	for _, part := range strings.Split(page, "](#")[1:] {
		link, _, _ := strings.Cut(part, ")")
		links++
		if headings[link] != 1 {
			t.Errorf("the link #%s leads to %d headings", link, headings[link])
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found", links)
	}
}

func TestUnknownReference(t *testing.T) {
	_, err := Markdown([]byte("paths: {/x: {get: {responses: {'200': {$ref: '#/components/responses/None'}}, tags: [a]}}}\ntags: [{name: a}]\n"))
	if err == nil || !strings.Contains(err.Error(), "#/components/responses/None leads nowhere") {
		t.Errorf("got %v", err)
	}
}
