// SPDX-License-Identifier: MIT

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestArchiveDependsOnNothingElse(t *testing.T) {
	date := time.Unix(1795641408, 0)
	files := []file{
		{name: "share/man/man1/bos.1", content: []byte("man")},
		{name: "bin/bos", content: []byte("program"), program: true},
		{name: "LICENSE", content: []byte("MIT")},
	}
	var one, other bytes.Buffer
	if err := archive(&one, "bos-1", date, files); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	if err := archive(&other, "bos-1", date.In(time.FixedZone("elsewhere", 3600)), files); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), other.Bytes()) {
		t.Error("the same files in another order, on a machine elsewhere, make another tarball")
	}

	zipped, err := gzip.NewReader(&one)
	if err != nil {
		t.Fatal(err)
	}
	if zipped.Name != "" || !zipped.ModTime.IsZero() {
		t.Errorf("the compressed file says name %q, time %v", zipped.Name, zipped.ModTime)
	}
	var got []string
	packed := tar.NewReader(zipped)
	for {
		h, err := packed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(date) {
			t.Errorf("%s is of user %d, group %d, time %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{
		"drwxr-xr-x bos-1/", "-rw-r--r-- bos-1/LICENSE", "drwxr-xr-x bos-1/bin/", "-rwxr-xr-x bos-1/bin/bos",
		"drwxr-xr-x bos-1/share/", "drwxr-xr-x bos-1/share/man/", "drwxr-xr-x bos-1/share/man/man1/", "-rw-r--r-- bos-1/share/man/man1/bos.1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if err := archive(io.Discard, "bos-1", date, []file{{name: "a"}, {name: "a"}}); err == nil {
		t.Error("a file may be in the tarball twice")
	}
}

func TestCollect(t *testing.T) {
	cache := t.TempDir()
	write(t, cache, "good/LICENSE", "MIT License of good")
	write(t, cache, "good/NOTICE.txt", "good was made by good people")
	write(t, cache, "good/license.go", "package good")
	write(t, cache, "good/linked/COPYING", "BSD of a part")
	write(t, cache, "good/linked/deep/x.go", "package deep")
	write(t, cache, "good/unlinked/LICENSE", "of no concern")
	write(t, cache, "bare/x.go", "package bare")
	write(t, cache, "noticed/NOTICE", "but no licence")
	write(t, cache, "viral/LICENSE", "GNU")

	modules := map[string]*module{}
	root := filepath.Join(cache, "good")
	add(modules, "example.com/good", "v1.2.3", root, root)
	add(modules, "example.com/good", "v1.2.3", root, filepath.Join(root, "linked", "deep"))
	files, err := collect([]*module{modules["example.com/good"]}, map[string]string{"example.com/good": "MIT"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var notice string
	for _, f := range files {
		names = append(names, f.name)
		if f.name == "NOTICE" {
			notice = string(f.content)
		}
	}
	want := []string{
		"licenses/example.com/good/LICENSE", "licenses/example.com/good/NOTICE.txt", "licenses/example.com/good/linked/COPYING", "NOTICE",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q\nwant %q", names, want)
	}
	for _, part := range []string{"example.com/good v1.2.3: MIT\n", "good was made by good people"} {
		if !strings.Contains(notice, part) {
			t.Errorf("%q is not in NOTICE:\n%s", part, notice)
		}
	}

	var bad []*module
	for _, name := range []string{"bare", "noticed", "viral"} {
		bad = append(bad, &module{path: name, root: filepath.Join(cache, name), dirs: map[string]bool{filepath.Join(cache, name): true}})
	}
	_, err = collect(bad, map[string]string{"viral": "AGPL-3.0-only"})
	for _, part := range []string{"bare  has no licence", "noticed  has no licence", "viral  is under AGPL-3.0-only"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say that %s: %v", part, err)
		}
	}
}

func TestLicenceIDs(t *testing.T) {
	ids := map[string]string{}
	err := licenceIDs([]byte(`{"components": [
		{"name": "a", "evidence": {"licenses": [{"license": {"id": "MIT"}}, {"license": {"id": "GPL-2.0-only"}}]}},
		{"name": "b", "licenses": [{"license": {"id": "ISC"}}]}, {"name": "c"}]}`), ids)
	if err != nil {
		t.Fatal(err)
	}
	if ids["a"] != "MIT, GPL-2.0-only" || ids["b"] != "ISC" || len(ids) != 2 {
		t.Errorf("got %v", ids)
	}
	if !permitted(ids["a"]) || permitted("GPL-2.0-only") || !permitted("") {
		t.Error("one allowed licence must be enough, and none that is recognised is for people to judge")
	}
}

func TestIdentify(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795641408")
	d := &dist{version: "1.2.3-rc.1+dev"}
	if err := d.identify(t.Context()); err != nil || d.date.Unix() != 1795641408 {
		t.Errorf("date %v, error %v", d.date, err)
	}
	for _, version := range []string{"1 2", "-x=y", "../up", "a/b", "1'"} {
		if err := (&dist{version: version}).identify(t.Context()); err == nil {
			t.Errorf("%q is taken for a version", version)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := (&dist{version: "1"}).identify(t.Context()); err == nil {
		t.Error("a date that is no number is taken")
	}
}

func TestChartVersion(t *testing.T) {
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "1.2.3-rc.1": "1.2.3-rc.1", "1.2.3-4-gabcdef0-dirty": "1.2.3-4-gabcdef0-dirty", "abcdef0": "0.0.0-gabcdef0", "1.2": "0.0.0-g1.2",
	} {
		if got := chartVersion(version); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	got := string(stamp([]byte("apiVersion: v2\nname: bos\nversion: 0.1.0\nappVersion: 0.1.0\n"), "0.0.0-gabc", "abc"))
	if want := "apiVersion: v2\nname: bos\nversion: 0.0.0-gabc\nappVersion: \"abc\"\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestSettle(t *testing.T) {
	d := &dist{date: time.Unix(0, 0).UTC()}
	text, err := d.settle([]byte(`{"metadata": {"timestamp": "now", "component": {"name": "bos"}}, "components": [
		{"name": "golang.org/x/net", "evidence": {"licenses": [{"license": {"id": "BSD-Source-Code"}}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"1970-01-01T00:00:00Z"`, `"MIT"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
	ids := map[string]string{}
	if err := licenceIDs(text, ids); err != nil || ids["golang.org/x/net"] != "BSD-3-Clause" {
		t.Errorf("licences %v, error %v", ids, err)
	}
	if _, err := d.settle([]byte(`{}`)); err == nil {
		t.Error("a bill without metadata is taken")
	}
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b", "")
	write(t, dir, "a", "a")
	sums, err := checksums(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
	if string(sums) != want {
		t.Errorf("got\n%swant\n%s", sums, want)
	}
}

func TestStatic(t *testing.T) {
	if err := static(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := static("/bin/sh"); err == nil {
		t.Error("/bin/sh needs a loader")
	}
}
