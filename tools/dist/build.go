// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// programs are the commands that are packed.
func programs() []string { return []string{"bosd", "bos"} }

// build builds the programs into a folder, static and without paths of this
// machine in them.
func (d *dist) build(ctx context.Context, target []string, dir string) error {
	args := []string{"build", "-trimpath", "-ldflags", "-s -w -X bos/internal/version.linked=" + d.version, "-o", dir + string(filepath.Separator)}
	for _, name := range programs() {
		args = append(args, "./cmd/"+name)
	}
	// What the caller's environment says about builds would be in the result.
	env := append([]string{"CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off"}, target...)
	_, err := d.output(ctx, env, "go", args...)
	return err
}

// static checks that a program of Linux needs no loader, nor anything else of
// the host.
func static(path string) error {
	program, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }()
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static", path)
		}
	}
	return nil
}

// papers returns what does not depend on the platform: man pages and shell
// completions as the programs themselves write them, service files and texts.
func (d *dist) papers(ctx context.Context, dir string) ([]file, error) {
	if err := d.build(ctx, nil, dir); err != nil {
		return nil, err
	}
	man := filepath.Join(dir, "man")
	env := []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(d.date.Unix(), 10)}
	for _, name := range programs() {
		if _, err := d.output(ctx, env, filepath.Join(dir, name), "man", man); err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(man, name+".1")); err != nil {
			return nil, fmt.Errorf("%s man has not written what it should: %w", name, err)
		}
	}
	files, err := tree(man, "share/man/man1")
	if err != nil {
		return nil, err
	}
	for _, name := range programs() {
		for shell, path := range map[string]string{
			"bash": "share/bash-completion/completions/" + name,
			"zsh":  "share/zsh/site-functions/_" + name,
			"fish": "share/fish/vendor_completions.d/" + name + ".fish",
		} {
			text, err := d.output(ctx, nil, filepath.Join(dir, name), "completion", shell)
			if err != nil {
				return nil, err
			}
			files = append(files, file{name: path, content: []byte(text)})
		}
	}
	for from, to := range map[string]string{"docs": "share/doc/bos", "deploy": "share/bos/deploy"} {
		found, err := d.tracked(ctx, from, to)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "LICENSE"} {
		content, err := os.ReadFile(filepath.Join(d.root, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: name, content: content})
	}
	return files, nil
}

// tracked returns the files of a folder of the repository that belong to it, but
// its tests; of links, what they lead to.
func (d *dist) tracked(ctx context.Context, from, to string) ([]file, error) {
	list, err := d.output(ctx, nil, "git", "ls-files", "-z", "--", from)
	if err != nil {
		return nil, err
	}
	var files []file
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		if name == "" || strings.HasSuffix(name, ".go") || strings.HasPrefix(filepath.Base(name), "go.") {
			continue
		}
		path := filepath.Join(d.root, filepath.FromSlash(name))
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(path) //nolint:gosec // a file of the repository
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: to + strings.TrimPrefix(name, from), content: content, program: info.Mode()&0o100 != 0})
	}
	return files, nil
}

// tree returns all files of a folder, by the name to that it gets.
func tree(dir, to string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // of our own making
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, file{name: to + "/" + filepath.ToSlash(rel), content: content})
		return nil
	})
	return files, err
}

// bill returns the bill of materials of a binary, in CycloneDX's JSON, with what
// the binary itself says of its modules and the licences found in them.
func (d *dist) bill(ctx context.Context, binary string) ([]byte, error) {
	out := binary + ".cdx.json"
	_, err := d.output(ctx, nil, "go", "tool", "-modfile=tools/go.mod", "cyclonedx-gomod", "bin", "-json", "-licenses", "-std",
		"-noserial", "-version", d.version, "-output", out, binary)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(out) //nolint:gosec // of our own making
	if err != nil {
		return nil, err
	}
	return d.settle(raw)
}

// settle gives a bill of materials the date of the commit, and the licence that
// this repository says it has.
func (d *dist) settle(raw []byte) ([]byte, error) {
	var bill map[string]any
	if err := json.Unmarshal(raw, &bill); err != nil {
		return nil, fmt.Errorf("read the bill of materials: %w", err)
	}
	metadata, ok := bill["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("the bill of materials has no metadata")
	}
	metadata["timestamp"] = d.date.Format("2006-01-02T15:04:05Z")
	if main, ok := metadata["component"].(map[string]any); ok {
		main["licenses"] = []any{map[string]any{"license": map[string]any{"id": "MIT"}}}
	}
	components, _ := bill["components"].([]any)
	for _, c := range components {
		mendLicence(c)
	}
	text, err := json.MarshalIndent(bill, "", "  ")
	return append(text, '\n'), err
}

// mendLicence puts right what the detector takes the licence of Go's own modules
// for: their text is that of BSD-3-Clause.
func mendLicence(component any) {
	c, ok := component.(map[string]any)
	if !ok {
		return
	}
	if name, ok := c["name"].(string); !ok || name != "std" && !strings.HasPrefix(name, "golang.org/x/") {
		return
	}
	c["evidence"] = map[string]any{"licenses": []any{map[string]any{"license": map[string]any{"id": "BSD-3-Clause"}}}}
}

// module is a dependency that is linked in.
type module struct {
	path, version string
	// dirs are the folders of its packages that are linked, and those above them
	// up to its own.
	dirs map[string]bool
	root string
}

// linked returns the modules of which packages are linked into one of the
// programs, sorted by path, and Go's own library first.
func (d *dist) linked(ctx context.Context, target []string) ([]*module, error) {
	args := []string{"list", "-deps", "-json=Dir,Standard,Root,Module"}
	for _, name := range programs() {
		args = append(args, "./cmd/"+name)
	}
	text, err := d.output(ctx, append([]string{"CGO_ENABLED=0"}, target...), "go", args...)
	if err != nil {
		return nil, err
	}
	modules := map[string]*module{}
	for decoder := json.NewDecoder(strings.NewReader(text)); decoder.More(); {
		var p struct {
			Dir, Root string
			Standard  bool
			Module    *struct {
				Path, Version, Dir string
				Main               bool
				Replace            *struct{ Path, Version, Dir string }
			}
		}
		if err := decoder.Decode(&p); err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		switch {
		case p.Standard:
			// What it has vendored is under its own licence, or has one beside it.
			add(modules, "std", "", p.Root, p.Dir)
		case p.Module == nil:
			return nil, fmt.Errorf("%s belongs to no module", p.Dir)
		case p.Module.Main:
		case p.Module.Replace != nil:
			return nil, fmt.Errorf("%s is replaced; its licence would not be found", p.Module.Path)
		default:
			add(modules, p.Module.Path, p.Module.Version, p.Module.Dir, p.Dir)
		}
	}
	if goVersion, err := d.output(ctx, nil, "go", "env", "GOVERSION"); err != nil {
		return nil, err
	} else if std := modules["std"]; std != nil {
		std.version = strings.TrimSpace(goVersion)
	}
	var all []*module
	for _, m := range modules {
		all = append(all, m)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].path < all[j].path })
	return all, nil
}

// add notes a linked folder of a module.
func add(modules map[string]*module, path, version, root, dir string) {
	m := modules[path]
	if m == nil {
		m = &module{path: path, version: version, root: root, dirs: map[string]bool{root: true}}
		modules[path] = m
	}
	for ; dir != root && len(dir) > len(root); dir = filepath.Dir(dir) {
		m.dirs[dir] = true
	}
}
