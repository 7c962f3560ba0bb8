// SPDX-License-Identifier: MIT

package etcd

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// record is a component's record as it is in the midst of a boot.
func record(n int) []byte {
	params := "console=ttyS0,115200 ip=dhcp quiet " + strings.Repeat("rd.other=setting ", 20) + "bos_update_frequency=4h"
	artifacts := fmt.Sprintf(`{"initrd":"s3://boot-images/6261a408-2522-5e69-8d21-983d56a758f0/initrd",`+
		`"kernel":"s3://boot-images/6261a408-2522-5e69-8d21-983d56a758f0/kernel","kernel_parameters":%q}`, params)
	return fmt.Appendf(nil, `{"doc":{"actual_state":{"boot_artifacts":%s},"desired_state":{"boot_artifacts":%s,"configuration":"c"},`+
		`"enabled":true,"error":"","id":"x%dc0s0b0n0","session":"s1"},"sealed":{"plan":"b0d7b4ce-3b8f-4a62-9a59-9e2a90e8a5b1"}}`,
		artifacts, artifacts, n)
}

// Whatever is packed comes back as it was, and whatever is not packed stays as
// it is.
func TestPackProperty(t *testing.T) {
	p := newPacker()
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 2000),
			rapid.Map(rapid.IntRange(0, 1_000_000), record),
			rapid.Map(rapid.StringN(0, 400, 4000), func(s string) []byte { return []byte(s) }),
		).Filter(func(doc []byte) bool { return len(doc) == 0 || doc[0] != packMark }).Draw(t, "doc")
		stored := p.pack(doc)
		if len(stored) > len(doc) {
			t.Errorf("%d bytes became %d", len(doc), len(stored))
		}
		if got := p.unpack([]byte(stored)); !bytes.Equal(got, doc) {
			t.Errorf("%q came back as %q", doc, got)
		}
		if got := p.unpack(doc); !bytes.Equal(got, doc) {
			t.Errorf("%q of an earlier build was read as %q", doc, got)
		}
	})
}

// Documents that share a shelf are as if each had memory of its own, for as long as
// the shelf is not cleared, and afterwards the next ones are.
func TestShelf(t *testing.T) {
	p := newPacker()
	for round := range 3 {
		shelf := p.shelf()
		// More than any shelf holds.
		count := shelfMost/len(record(0)) + 100
		docs := make([][]byte, count)
		for i := range docs {
			docs[i] = p.unpackOnto(shelf, []byte(p.pack(record(round*count+i))))
		}
		for i, doc := range docs {
			if want := record(round*count + i); !bytes.Equal(doc, want) {
				t.Fatalf("round %d: document %d of %d is %q, not %q", round, i, count, doc, want)
			}
			if spare := cap(doc) - len(doc); spare > 0 {
				t.Fatalf("document %d could grow by %d bytes into the next one", i, spare)
			}
		}
		p.clear(shelf)
	}
}

// A component takes a fraction of its size.
func TestPackedComponent(t *testing.T) {
	p := newPacker()
	doc := record(1)
	stored := p.pack(doc)
	if len(stored)*3 > len(doc) {
		t.Errorf("%d bytes became %d", len(doc), len(stored))
	}
}

// What version 1 packed once is read for ever.
func TestUnpacksFormer(t *testing.T) {
	const former = "f801c40ad11c1500359036323631613430382d323532322d356536392d386432312d3938336435366137353866302f8d7991484e650492" +
		"48000d3f11488a90043a210438642e6f746865723d73657474696e6711111900380062e604fe9406921202515a1900e900002cb5a2f13100" +
		"63760d07186964223a227831dda4d938087331224ec2059862306437623463652d336238662d346136322d396135392d3965326139306538" +
		"61356231227d7d"
	stored, err := hex.DecodeString(former)
	if err != nil {
		t.Fatal(err)
	}
	if got := newPacker().unpack(stored); !bytes.Equal(got, record(1)) {
		t.Errorf("read as %q", got)
	}
}

// What can't be unpacked is no document, and takes no memory.
func TestUnpackCorrupt(t *testing.T) {
	p := newPacker()
	good := []byte(p.pack(record(1)))
	for name, bad := range map[string][]byte{
		"short":           good[:1],
		"header only":     good[:packHeader],
		"torn":            good[:len(good)/2],
		"another version": append([]byte{packMark, packVersion + 1}, good[packHeader:]...),
		"huge":            append([]byte{packMark, packVersion, 0xff, 0xff, 0xff, 0xff, 0x0f}, good[packHeader:]...),
	} {
		if got := p.unpack(bad); !bytes.Equal(got, bad) {
			t.Errorf("%s: read as %q", name, got)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	p := newPacker()
	f.Add([]byte(p.pack(record(1))))
	f.Add([]byte(`{"doc":{}}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		if got := p.unpack(stored); len(got) > packMost {
			t.Errorf("%d bytes became %d", len(stored), len(got))
		}
	})
}

func BenchmarkPack(b *testing.B) {
	p, doc := newPacker(), record(1)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		p.pack(doc)
	}
}

func BenchmarkUnpack(b *testing.B) {
	p := newPacker()
	stored := []byte(p.pack(record(1)))
	b.SetBytes(int64(len(record(1))))
	b.ReportAllocs()
	for b.Loop() {
		p.unpack(stored)
	}
}
