// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"bos/internal/bos"
	"bos/internal/client"

	"github.com/spf13/cobra"
)

// What is done with a template or an option that is there already and differs.
const (
	onConflictFail    = "fail"
	onConflictSkip    = "skip"
	onConflictReplace = "replace"
)

const importHelp = `Read session templates and options from a document and give them to the server. FILE is
what 'export' has written, what 'sessiontemplates list' or 'options list' show (of this program
or of cray, as JSON), or a single template; YAML if its name ends in .yaml or .yml; - is the
standard input.

Templates keep the tenant that they name; with --tenant all of them go to that tenant, and
options are left alone. The name, the tenant and the links in a template, and times of the last
update, are the server's and are not sent.

A template is identified by its tenant and its name. One that the server has with the same
content is left as it is. One that differs is a conflict, as is an option that differs and was
changed from its default. --on-conflict says what happens then:

  fail     nothing at all is written, and the conflicts are shown
  skip     what the server has stays
  replace  what the document has is written

A template that the server refuses is shown with the reason, and the others are written. The
same document can be imported again and again.`

type importFlags struct {
	onConflict  string
	dryRun      boolean
	noOptions   boolean
	noTemplates boolean
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Read session templates and options from a document", Long: importHelp,
		Example: "  cray bos v2 sessiontemplates list --format json > templates.json\n" +
			"  bos import templates.json --dry-run\n  bos import templates.json --on-conflict skip",
		Args: oneName("FILE"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{onConflictFail, onConflictSkip, onConflictReplace}, f.onConflict) {
				return misused(fmt.Errorf("--on-conflict is fail, skip or replace, not %q", f.onConflict))
			}
			return a.runImport(cmd, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.onConflict, "on-conflict", onConflictFail, "what to do with what is there and differs: fail, skip or replace")
	a.booleanVar(flags, &f.dryRun, "dry-run", "only show what would be done")
	a.booleanVar(flags, &f.noOptions, "no-options", "leave options alone")
	a.booleanVar(flags, &f.noTemplates, "no-templates", "leave session templates alone")
	complete(cmd, "on-conflict", words(onConflictFail, onConflictSkip, onConflictReplace))
	return cmd
}

// document is what an import reads.
type document struct {
	templates []*tree
	options   *tree
}

// readDocument reads a document in any of the forms that sites have.
func (a *app) readDocument(path string) (document, error) {
	text, err := a.readFile(path)
	if err != nil {
		return document{}, err
	}
	parse, what := parseJSON, "JSON"
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" {
		parse, what = parseYAML, "YAML"
	}
	t, err := parse(text)
	if err != nil {
		return document{}, fmt.Errorf("%s is not a document in %s: %w", path, what, err)
	}
	d, err := sortDocument(t)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// errNoDocument says that a file is something else.
var errNoDocument = errors.New("it is neither an export, nor a list of session templates, nor one of them, nor options")

func sortDocument(t *tree) (document, error) {
	var d document
	switch {
	case t.kind == kindArray:
		d.templates = t.items
	case t.kind != kindObject || len(t.keys) == 0:
		return d, errNoDocument
	case t.get("kind") != nil && t.get("kind").text == exportKind:
		if v := t.get("version"); v == nil || v.text != "1" {
			return d, errors.New("it was exported by a newer version")
		}
		if list := t.get(exportTemplates); list != nil {
			d.templates = list.items
		}
		d.options = t.get(exportOptions)
	case t.get("boot_sets") != nil:
		d.templates = []*tree{t}
	case !slices.ContainsFunc(t.keys, func(name string) bool { return !isOption(name) }):
		d.options = t
	default:
		return d, errNoDocument
	}
	for i, one := range d.templates {
		if one.kind != kindObject || one.get("boot_sets") == nil || one.get("name") == nil || one.get("name").kind != kindString {
			return d, fmt.Errorf("item %d is not a session template with a name and boot sets", i+1)
		}
	}
	return d, nil
}

// importing is a run of an import.
type importing struct {
	app     *app
	flags   importFlags
	clients map[string]*client.Client
	results []importResult
}

// importResult is what became of a template or an option.
type importResult struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Tenant string `json:"tenant,omitempty"`
	Result string `json:"result"`
	Reason string `json:"reason,omitempty"`
}

// The results of an import.
const (
	resultCreated   = "created"
	resultReplaced  = "replaced"
	resultUnchanged = "unchanged"
	resultSkipped   = "skipped"
	resultConflict  = "conflict"
	resultRefused   = "refused"
)

// step is what is to be done with a template.
type step struct {
	index        int
	tenant, name string
	body         []byte
}

func (a *app) runImport(cmd *cobra.Command, path string, f importFlags) error {
	d, err := a.readDocument(path)
	if err != nil {
		return err
	}
	if _, err := a.client(cmd); err != nil {
		return err
	}
	im := &importing{app: a, flags: f, clients: map[string]*client.Client{a.connection.Tenant: a.bos}}
	ctx := cmd.Context()
	var steps []step
	if !f.noTemplates {
		if steps, err = im.planTemplates(ctx, d.templates); err != nil {
			return err
		}
	}
	patch := objectTree()
	if d.options != nil && !bool(f.noOptions) && a.connection.Tenant == "" {
		if patch, err = im.planOptions(ctx, d.options); err != nil {
			return err
		}
	}
	conflicts := im.count(resultConflict)
	if conflicts == 0 && !bool(f.dryRun) {
		if err := im.carryOut(ctx, steps, patch); err != nil {
			return errors.Join(err, im.show())
		}
	}
	if err := im.show(); err != nil {
		return err
	}
	switch refused := im.count(resultRefused); {
	case conflicts > 0:
		return fmt.Errorf("nothing was written: %d differ from what the server has; see --on-conflict", conflicts)
	case refused > 0:
		return fmt.Errorf("%d were refused by the server; the others were written", refused)
	}
	return nil
}

func (im *importing) count(result string) int {
	n := 0
	for _, r := range im.results {
		if r.Result == result {
			n++
		}
	}
	return n
}

// client returns the client on behalf of a tenant.
func (im *importing) client(tenant string) (*client.Client, error) {
	if c := im.clients[tenant]; c != nil {
		return c, nil
	}
	c, err := im.app.clientFor(tenant)
	if err != nil {
		return nil, err
	}
	im.clients[tenant] = c
	return c, nil
}

// planTemplates compares templates with what the server has.
func (im *importing) planTemplates(ctx context.Context, templates []*tree) ([]step, error) {
	var steps []step
	seen := map[bos.TemplateKey]bool{}
	for _, t := range templates {
		name, tenant := t.get("name").text, im.app.connection.Tenant
		if own := t.get("tenant"); tenant == "" && own != nil && own.kind == kindString {
			tenant = own.text
		}
		key := bos.TemplateKey{Tenant: tenant, Name: name}
		if seen[key] {
			return nil, fmt.Errorf("the document has the session template %s of tenant %q twice", name, tenant)
		}
		seen[key] = true
		for _, own := range []string{"name", "tenant", "links"} {
			t.remove(own)
		}
		body := t.JSON()
		result, err := im.compare(ctx, key, body)
		if err != nil {
			return nil, err
		}
		im.results = append(im.results, importResult{Kind: "sessiontemplate", Name: name, Tenant: tenant, Result: result})
		if result == resultCreated || result == resultReplaced {
			steps = append(steps, step{len(im.results) - 1, tenant, name, body})
		}
	}
	return steps, nil
}

// compare decides what is to be done with a template.
func (im *importing) compare(ctx context.Context, key bos.TemplateKey, body []byte) (string, error) {
	c, err := im.client(key.Tenant)
	if err != nil {
		return "", err
	}
	there, err := c.Template(ctx, key.Name)
	var problem *client.Problem
	switch {
	case errors.As(err, &problem) && problem.Status == 404:
		return resultCreated, nil
	case err != nil:
		return "", err
	case same(key, there, body):
		return resultUnchanged, nil
	}
	switch im.flags.onConflict {
	case onConflictSkip:
		return resultSkipped, nil
	case onConflictReplace:
		return resultReplaced, nil
	}
	return resultConflict, nil
}

// same reports whether the server would make of a template what it has. One that
// can't be read is for the server to refuse.
func same(key bos.TemplateKey, a, b []byte) bool {
	clean := func(text []byte) (string, bool) {
		var t bos.Template
		if err := json.Unmarshal(text, &t); err != nil {
			return "", false
		}
		out, err := json.Marshal(t.Sanitize(key.Name, key.Tenant))
		return string(out), err == nil
	}
	x, okA := clean(a)
	y, okB := clean(b)
	return okA && okB && x == y
}

// planOptions returns those options of a document that are to be set.
func (im *importing) planOptions(ctx context.Context, wanted *tree) (*tree, error) {
	c, err := im.client("")
	if err != nil {
		return nil, err
	}
	raw, err := c.Options(ctx)
	if err != nil {
		return nil, err
	}
	now, err := parseJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	text, err := json.Marshal(bos.DefaultOptions())
	if err != nil {
		return nil, fmt.Errorf("write the default options: %w", err)
	}
	defaults, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the default options: %w", err)
	}
	patch := objectTree()
	for i, name := range wanted.keys {
		result := resultReplaced
		value, has := string(wanted.items[i].JSON()), now.get(name)
		switch {
		case !isOption(name):
			result = resultSkipped
		case has != nil && string(has.JSON()) == value:
			result = resultUnchanged
		case has == nil || defaults.get(name) != nil && string(has.JSON()) == string(defaults.get(name).JSON()):
		case im.flags.onConflict == onConflictSkip:
			result = resultSkipped
		case im.flags.onConflict == onConflictFail:
			result = resultConflict
		}
		r := importResult{Kind: "option", Name: name, Result: result}
		if !isOption(name) {
			r.Reason = "there is no such option"
		}
		im.results = append(im.results, r)
		if result == resultReplaced {
			patch.put(name, wanted.items[i])
		}
	}
	return patch, nil
}

// carryOut writes what was planned.
func (im *importing) carryOut(ctx context.Context, steps []step, patch *tree) error {
	var problem *client.Problem
	for _, s := range steps {
		c, err := im.client(s.tenant)
		if err != nil {
			return err
		}
		if _, err = c.PutTemplate(ctx, s.name, s.body); errors.As(err, &problem) {
			im.results[s.index].Result, im.results[s.index].Reason = resultRefused, message(err)
		} else if err != nil {
			return err
		}
	}
	if len(patch.keys) == 0 {
		return nil
	}
	c, err := im.client("")
	if err != nil {
		return err
	}
	if _, err := c.PatchOptions(ctx, patch.JSON()); err != nil {
		return fmt.Errorf("set the options: %w", err)
	}
	return nil
}

// show tells what was done, or would be.
func (im *importing) show() error {
	slices.SortStableFunc(im.results, func(a, b importResult) int {
		return cmp.Or(-cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name))
	})
	if im.results == nil {
		im.results = []importResult{}
	}
	raw, err := json.Marshal(im.results)
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return im.app.show(raw, func(s *screen, _ json.RawMessage) error {
		t := table{columns: []column{
			{title: "KIND"}, {title: "TENANT", optional: true}, {title: "NAME"}, {title: "RESULT"}, {title: "REASON", optional: true, below: true},
		}}
		for _, r := range im.results {
			t.row(cell{text: r.Kind}, cell{text: r.Tenant}, cell{text: r.Name}, cell{text: r.Result, style: resultStyle(r.Result)}, cell{text: r.Reason})
		}
		return t.write(s)
	})
}

func resultStyle(result string) style {
	switch result {
	case resultCreated, resultReplaced:
		return good
	case resultConflict, resultRefused:
		return bad
	case resultSkipped:
		return held
	}
	return plain
}
