// SPDX-License-Identifier: MIT

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one file of a tarball.
type file struct {
	// name has slashes and is below the tarball's own folder.
	name    string
	content []byte
	program bool
}

// archive writes a compressed tarball whose bytes depend on nothing but its
// arguments: files are sorted, everything is root's and has the same date.
func archive(w io.Writer, base string, date time.Time, files []file) error {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	zipped, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	packed := tar.NewWriter(zipped)
	header := func(name string, mode int64, size int, kind byte) error {
		return packed.WriteHeader(&tar.Header{
			Typeflag: kind, Name: name, Mode: mode, Size: int64(size), ModTime: date, Uname: "root", Gname: "root", Format: tar.FormatPAX,
		})
	}
	made := map[string]bool{}
	folders := func(name string) error {
		var missing []string
		for dir := path.Dir(name); dir != "." && !made[dir]; dir = path.Dir(dir) {
			missing = append(missing, dir)
			made[dir] = true
		}
		slices.Reverse(missing)
		for _, dir := range missing {
			if err := header(dir+"/", 0o755, 0, tar.TypeDir); err != nil {
				return err
			}
		}
		return nil
	}
	for i, f := range files {
		if i > 0 && files[i-1].name == f.name {
			return fmt.Errorf("%s would be in the tarball twice", f.name)
		}
		name := path.Join(base, f.name)
		mode := int64(0o644)
		if f.program {
			mode = 0o755
		}
		if err := folders(name); err != nil {
			return err
		}
		if err := header(name, mode, len(f.content), tar.TypeReg); err != nil {
			return err
		}
		if _, err := packed.Write(f.content); err != nil {
			return err
		}
	}
	return errors.Join(packed.Close(), zipped.Close())
}

// checksums returns the SHA-256 of each file in a folder, in the form that
// sha256sum --check reads.
func checksums(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // of our own making
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return sums.Bytes(), nil
}
