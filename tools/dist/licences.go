// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// paper matches the names of files that must go with a copy: licences, notices,
// and grants of patents.
var paper = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense|copyright)([.-].*)?$`)

// isCode matches sources that are called like a licence.
var isCode = regexp.MustCompile(`(?i)\.(go|s|c|h|py|js|json|sh)$`)

// allowed are the licences under which dependencies may be linked into a static
// binary that is given away under the MIT licence. MPL-2.0 asks for its own
// files only, which are where the bill of materials says.
func allowed() []string {
	return []string{
		"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unlicense", "Zlib",
	}
}

// licenceIDs notes the licence of each module that a bill of materials names.
func licenceIDs(bill []byte, ids map[string]string) error {
	var b struct {
		Components []struct {
			Name     string
			Evidence struct{ Licenses []licenceChoice }
			Licenses []licenceChoice
		}
	}
	if err := json.Unmarshal(bill, &b); err != nil {
		return fmt.Errorf("read the licences of the bill of materials: %w", err)
	}
	for _, c := range b.Components {
		var found []string
		for _, choice := range slices.Concat(c.Licenses, c.Evidence.Licenses) {
			if id := choice.License.ID; id != "" && !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
		if len(found) > 0 {
			ids[c.Name] = strings.Join(found, ", ")
		}
	}
	return nil
}

type licenceChoice struct{ License struct{ ID string } }

// collect returns the licences and notices of modules, each under the module's
// name, and the file NOTICE, which names them all. It is an error if a module
// has no licence, or one that is not allowed.
func collect(modules []*module, ids map[string]string) ([]file, error) {
	var files []file
	var faults []error
	var list, notices bytes.Buffer
	for _, m := range modules {
		papers, err := m.papers()
		if err != nil {
			return nil, err
		}
		licensed := false
		for _, p := range papers {
			base := strings.ToLower(filepath.Base(p.name))
			licensed = licensed || !strings.HasPrefix(base, "notice") && !strings.HasPrefix(base, "patents")
			if strings.HasPrefix(base, "notice") {
				fmt.Fprintf(&notices, "\n---- %s %s (%s)\n\n%s\n", m.path, m.version, p.name, bytes.TrimSpace(p.content))
			}
			files = append(files, file{name: "licenses/" + m.path + "/" + p.name, content: p.content})
		}
		id := ids[m.path]
		switch {
		case !licensed:
			faults = append(faults, fmt.Errorf("%s %s has no licence", m.path, m.version))
		case !permitted(id):
			faults = append(faults, fmt.Errorf("%s %s is under %s, which is not among the licences that are allowed", m.path, m.version, id))
		}
		if id == "" {
			id = "see its licence"
		}
		fmt.Fprintf(&list, "%s %s: %s\n", m.path, m.version, id)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	var notice bytes.Buffer
	notice.WriteString("BOS contains software of others, listed here with its licences, whose texts are\nin the folder licenses. " +
		"The notices that some of them ask to be handed on follow.\n\n")
	notice.Write(list.Bytes())
	notice.Write(notices.Bytes())
	return append(files, file{name: "NOTICE", content: notice.Bytes()}), nil
}

// permitted reports whether one of the licences that were recognised in a module
// is allowed; of a module without a recognised one, people have to read it.
func permitted(ids string) bool {
	if ids == "" {
		return true
	}
	for id := range strings.SplitSeq(ids, ", ") {
		if slices.Contains(allowed(), id) {
			return true
		}
	}
	return false
}

// papers returns the licences and notices in the linked folders of a module.
func (m *module) papers() ([]file, error) {
	var files []file
	for dir := range m.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("look for the licence of %s: %w", m.path, err)
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !paper.MatchString(entry.Name()) || isCode.MatchString(entry.Name()) {
				continue
			}
			path := filepath.Join(dir, entry.Name())
			content, err := os.ReadFile(path) //nolint:gosec // a file of the module cache
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(m.root, path)
			if err != nil {
				return nil, err
			}
			files = append(files, file{name: filepath.ToSlash(rel), content: content})
		}
	}
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	return files, nil
}
