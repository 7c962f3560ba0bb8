// SPDX-License-Identifier: MIT

package view

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

func same(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }

func TestInternedTextsAreBounded(t *testing.T) {
	var n interner
	hot := n.text("a text that everybody uses")
	for i := range 200000 {
		n.text(fmt.Sprint("text ", i))
		if i%1000 == 0 && !same(n.bytes([]byte(hot)), hot) {
			t.Fatal("a text in use was forgotten")
		}
		if kept := len(n.young) + len(n.elder); kept > 2*maxInterned {
			t.Fatalf("%d texts are kept", kept)
		}
	}
	long := strings.Repeat("x", 1<<20)
	for i := range 50 {
		n.text(fmt.Sprint(i, long))
		if n.size+n.elderSize > 2*maxInternedBytes {
			t.Fatalf("%d bytes are kept", n.size+n.elderSize)
		}
	}
	if n.text("") != "" || n.bytes(nil) != "" {
		t.Error("no text is no text")
	}
}
