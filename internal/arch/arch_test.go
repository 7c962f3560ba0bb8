// SPDX-License-Identifier: MIT

package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the project's module path.
const module = "bos"

const (
	// maxLines bounds a source file, maxTestLines one with tests.
	maxLines     = 500
	maxTestLines = 700
)

// source is one Go file of the project.
type source struct {
	// pkg is the folder, from the root of the module; name is the whole path.
	pkg, name string
	test      bool
	generated bool
	text      []byte
	file      *ast.File
	imports   []string
}

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			// Other modules and other people's code are not ours to judge.
			_, module := os.Stat(filepath.Join(p, "go.mod"))
			if rel != "." && (module == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), rel, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := source{
			pkg: path.Dir(filepath.ToSlash(rel)), name: filepath.ToSlash(rel), test: strings.HasSuffix(rel, "_test.go"),
			generated: ast.IsGenerated(file), text: text, file: file,
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 100 {
		t.Fatalf("only %d files were found", len(out))
	}
	return out
}

// own returns the folder of a package of the project, or false for any other.
func own(imported string) (string, bool) { return strings.CutPrefix(imported, module+"/") }

func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	_, ours := own(imported)
	return !ours && !strings.Contains(first, ".")
}

// within reports whether a folder is one of some, or below it.
func within(pkg string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return pkg == f || strings.HasPrefix(pkg, f+"/") })
}

// domain are the packages that know nothing but themselves and the standard
// library.
var domain = []string{"internal/bos", "internal/xname", "internal/decide"}

// rule forbids some packages to import some others. The reason is shown.
type rule struct {
	reason   string
	from     []string
	except   []string
	to       []string
	external []string
}

var rules = []rule{
	{
		reason: "the API and the operators meet in the store only",
		from:   []string{"internal/api"}, to: []string{"internal/operator", "internal/observe", "internal/decide"},
	},
	{
		reason: "the API and the operators meet in the store only",
		from:   []string{"internal/operator", "internal/observe"}, to: []string{"internal/api"},
	},
	{
		reason: "only programs and what shows the whole of BOS import the place where everything meets",
		from:   []string{"internal"}, except: []string{"internal/demo", "internal/bench", "internal/app"},
		to: []string{"internal/app"},
	},
	{
		reason: "a client of a service knows the service, not BOS around it",
		from:   []string{"internal/upstream"},
		to:     []string{"internal/store", "internal/view", "internal/operator", "internal/api", "internal/observe", "internal/sim", "internal/config"},
	},
	{
		reason: "the store keeps documents, whoever reads them",
		from:   []string{"internal/store"},
		to:     []string{"internal/view", "internal/operator", "internal/api", "internal/upstream", "internal/sim", "internal/config", "internal/clock"},
	},
	{
		reason: "the view shows the store, whoever wants to know",
		from:   []string{"internal/view"},
		to:     []string{"internal/operator", "internal/api", "internal/upstream", "internal/sim", "internal/config"},
	},
	{
		reason: "the simulated site judges BOS, so it shares nothing with it",
		from:   []string{"internal/sim"}, to: []string{"internal", "cmd"}, except: nil,
	},
	{
		reason: "etcd is behind the store's engine",
		from:   []string{"internal", "cmd"}, except: []string{"internal/store/etcd"},
		external: []string{"go.etcd.io"},
	},
}

// Who imports whom is decided here; the tests of a package may use what they
// like, but for the domain's.
func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			to, ours := own(imported)
			if within(s.pkg, domain...) && !s.test && !standard(imported) && !(ours && within(to, domain...)) {
				t.Errorf("%s imports %s: the domain imports the standard library and itself only", s.name, imported)
			}
			if s.test || within(s.pkg, "internal/bench") {
				continue
			}
			for _, r := range rules {
				broken := ours && within(to, r.to...) || !ours && within(imported, r.external...)
				// A package and its own parts are one.
				if broken && within(s.pkg, r.from...) && !within(s.pkg, r.except...) && !within(to, s.pkg) && !within(s.pkg, to) {
					t.Errorf("%s imports %s: %s", s.name, imported, r.reason)
				}
			}
		}
	}
}

// A decision is a pure function: time comes in as a value, and nothing is asked
// or told.
func TestDecisionsArePure(t *testing.T) {
	for _, s := range sources(t) {
		if !within(s.pkg, domain...) || s.test {
			continue
		}
		for _, imported := range s.imports {
			if within(imported, "context", "net", "os", "log", "io/fs", "sync", "math/rand", "crypto/rand") && within(s.pkg, "internal/decide") {
				t.Errorf("%s imports %s", s.name, imported)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker"}, sel.Sel.Name) {
				t.Errorf("%s uses time.%s", s.name, sel.Sel.Name)
			}
			return true
		})
	}
}

// What people and nodes run starts in milliseconds, so it links no store.
func TestClientLinksNoStore(t *testing.T) {
	imports := map[string][]string{}
	for _, s := range sources(t) {
		if !s.test {
			imports[s.pkg] = append(imports[s.pkg], s.imports...)
		}
	}
	seen := map[string]bool{}
	var visit func(pkg string, via []string)
	visit = func(pkg string, via []string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		via = append(slices.Clone(via), pkg)
		for _, imported := range imports[pkg] {
			to, ours := own(imported)
			if within(imported, "go.etcd.io", "google.golang.org/grpc") || within(to, "internal/store", "internal/sim") {
				t.Errorf("cmd/bos links %s, by %s", imported, strings.Join(via, " → "))
			}
			if ours {
				visit(to, via)
			}
		}
	}
	visit("cmd/bos", nil)
	if !seen["internal/cli"] {
		t.Error("cmd/bos was not followed")
	}
}

// Every file says its licence and stays small enough to be read in one go.
func TestFiles(t *testing.T) {
	for _, s := range sources(t) {
		if !bytes.HasPrefix(s.text, []byte("// SPDX-License-Identifier: MIT\n")) {
			t.Errorf("%s does not begin with its licence", s.name)
		}
		limit := maxLines
		if s.test || within(s.pkg, "internal/store/storetest") {
			limit = maxTestLines
		}
		if lines := bytes.Count(s.text, []byte("\n")); lines > limit && !s.generated {
			t.Errorf("%s has %d lines; at most %d", s.name, lines, limit)
		}
	}
}
