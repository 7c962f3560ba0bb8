// SPDX-License-Identifier: MIT

package legacy

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"bos/internal/bos"
	"bos/internal/store"
)

// The bounds of the API's schema, in characters and items.
const (
	maxDescription   = 1023
	maxConfiguration = 127
	maxTenant        = 127
	maxPath          = 4095
	maxETag          = 65536
	maxImageID       = 127
	maxParameters    = 4096
	maxProvider      = 511
	maxPassthrough   = 4096
	maxNode          = 127
	maxNodeList      = 65535
	maxRoles         = 1023
	maxGroups        = 4095
	maxBootSets      = 127
)

// identity takes the name and the tenant of a document. What people read of it
// follows from them.
func (d *doc) identity(o *object) (bos.SessionKey, bool) {
	d.whole = true
	key := bos.SessionKey{Name: d.text(o, "", "name", 1<<20).Value()}
	if o.members["tenant"] != nil && string(o.members["tenant"]) == "null" {
		delete(o.members, "tenant") // How nobody's are stored.
	}
	key.Tenant = d.text(o, "", "tenant", maxTenant).Value()
	if key.Name != "" {
		d.name = shown(key)
	}
	switch {
	case key.Name == "":
		d.refuse("it has no name")
	case strings.ContainsRune(key.Tenant, 0):
		d.refuse("its tenant's name has a NUL in it")
	}
	return key, d.why == ""
}

// convertTemplate makes our template of one of the original's. rename gives the
// name under which it is kept.
func convertTemplate(d *doc, o *object, key bos.TemplateKey, rename *names) (Document, bool) {
	d.whole = false
	name := rename.of(key)
	t := bos.Template{Name: name, Tenant: key.Tenant, EnableCFS: d.flag(o, "", "enable_cfs"), CFS: d.cfs(o, "")}
	t.Description = d.prose(o, "", "description", maxDescription)
	if v, ok := t.Description.Get(); ok && v == "" {
		d.changed("description", "dropped: it is empty")
		t.Description = bos.Opt[string]{}
	}
	if name != key.Name {
		d.changed("name", "%q became %q: names are letters, digits, '-', '.' and '_'", key.Name, name)
		t.Description = formerName(t.Description, key.Name)
	}
	d.whole = true
	sets, ok := d.sub(o, "", "boot_sets")
	if !ok {
		d.refuse("it has no boot_sets")
		return Document{}, false
	}
	t.BootSets = d.bootSets(sets)
	d.drop(o, "")
	if d.why != "" {
		return Document{}, false
	}
	if err := bos.CheckTemplateRequest(&t, bos.DefaultOptions()); err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	clean := t.Sanitize(t.Name, t.Tenant)
	d.reportSanitized(&t, &clean)
	value, err := json.Marshal(bos.TemplateRecord{Template: clean})
	if err != nil {
		d.refuse("%v", err)
		return Document{}, false
	}
	return Document{
		Database: Templates, Name: d.name, Key: store.TemplateKey(clean.Key()), Value: value,
		face: func(value []byte) (string, error) {
			var r bos.TemplateRecord
			if err := json.Unmarshal(value, &r); err != nil {
				return "", err
			}
			text, err := json.Marshal(r.Template)
			return string(text), err
		},
	}, true
}

// formerName notes in a description what a template was called, if there is
// room.
func formerName(description bos.Opt[string], former string) bos.Opt[string] {
	note := "Former name: " + strings.ToValidUTF8(former, "")
	if text := description.Value(); text != "" {
		note = text + "; " + note
	}
	if utf8.RuneCountInString(note) > maxDescription {
		return description
	}
	return bos.Some(note)
}

// reportSanitized tells what the rules for templates in requests have changed.
func (d *doc) reportSanitized(before, after *bos.Template) {
	for name, old := range before.BootSets.All() {
		set, _ := after.BootSets.Get(name)
		path := join("boot_sets", name)
		if !old.Arch.IsSet() {
			d.changed(join(path, "arch"), "set to %s, which is the default", set.ArchOrDefault())
		}
		was, is := old.NodeList.Value(), set.NodeList.Value()
		for i := range was {
			if was[i] != is[i] {
				d.changed(join(path, "node_list"), "%q became %q", was[i], is[i])
			}
		}
	}
}

// cfs takes a cfs; an empty one is as good as none.
func (d *doc) cfs(o *object, path string) bos.Opt[bos.CFS] {
	field := join(path, "cfs")
	in, ok := d.sub(o, path, "cfs")
	if !ok {
		return bos.Opt[bos.CFS]{}
	}
	configuration := d.text(in, field, "configuration", maxConfiguration)
	d.drop(in, field)
	if configuration.Value() == "" {
		d.changed(field, "dropped: it names no configuration")
		return bos.Opt[bos.CFS]{}
	}
	return bos.Some(bos.CFS{Configuration: configuration})
}

// bootSets takes the boot sets in their order.
func (d *doc) bootSets(o *object) bos.BootSets {
	var sets bos.BootSets
	if n := len(o.keys); n == 0 || n > maxBootSets {
		d.refuse("it has %d boot sets; a template has 1 to %d", n, maxBootSets)
		return sets
	}
	keys := make([]bos.SessionKey, len(o.keys))
	for i, name := range o.keys {
		keys[i].Name = name
	}
	rename := newNames(keys)
	for _, key := range keys {
		path := join("boot_sets", key.Name)
		name := rename.of(key)
		if key.Name == "" {
			name = legalName("", 0)
		}
		if name != key.Name {
			d.changed(path, "renamed to %q: names are letters, digits, '-', '.' and '_'", name)
		}
		set, err := parseObject(o.members[key.Name])
		if err != nil {
			d.refuse("%s is no object", path)
			return sets
		}
		sets.Set(name, d.bootSet(set, path))
	}
	return sets
}

func (d *doc) bootSet(o *object, path string) bos.BootSet {
	set := bos.BootSet{
		Path:                      d.text(o, path, "path", maxPath).Value(),
		ETag:                      d.text(o, path, "etag", maxETag),
		IMSImageID:                d.text(o, path, "ims_image_id", maxImageID),
		KernelParameters:          d.parameters(o, path),
		CFS:                       d.cfs(o, path),
		NodeList:                  d.list(o, path, "node_list", maxNodeList),
		NodeRolesGroups:           d.list(o, path, "node_roles_groups", maxRoles),
		NodeGroups:                d.list(o, path, "node_groups", maxGroups),
		Arch:                      word(d, o, path, "arch", bos.ArchX86, bos.ArchARM, bos.ArchOther, bos.ArchUnknown),
		RootfsProvider:            d.text(o, path, "rootfs_provider", maxProvider),
		RootfsProviderPassthrough: d.text(o, path, "rootfs_provider_passthrough", maxPassthrough),
	}
	if set.Path == "" {
		d.refuse("%s has no path", path)
	}
	const only = "s3"
	if was := d.text(o, path, "type", 1<<20).Value(); was != only {
		d.changed(join(path, "type"), "%q became %q, the only one that works", was, only)
	}
	set.Type = only
	if _, ok := d.take(o, path, "name"); ok {
		d.changed(join(path, "name"), "dropped: a boot set's name is its key")
	}
	if v, ok := set.RootfsProvider.Get(); ok && v == "" {
		d.changed(join(path, "rootfs_provider"), "dropped: it is empty")
		set.RootfsProvider = bos.Opt[string]{}
	}
	if v, ok := set.IMSImageID.Get(); ok && v == "" {
		d.changed(join(path, "ims_image_id"), "dropped: it is empty")
		set.IMSImageID = bos.Opt[string]{}
	}
	set.KernelParameters = d.withoutToken(set.KernelParameters, path)
	d.drop(o, path)
	return set
}

// withoutToken takes BOS's own parameter out of what is stored: BOS adds it at
// every boot.
func (d *doc) withoutToken(v bos.Opt[string], path string) bos.Opt[string] {
	parameters, ok := v.Get()
	if !ok || !strings.Contains(parameters, bos.ReferralToken) {
		return v
	}
	var kept []string
	for _, w := range strings.Fields(parameters) {
		if w != bos.ReferralToken && !strings.HasPrefix(w, bos.ReferralToken+"=") {
			kept = append(kept, w)
		}
	}
	clean := strings.Join(kept, " ")
	if len(kept) == len(strings.Fields(parameters)) {
		return v
	}
	d.changed(join(path, "kernel_parameters"), "%s taken out: BOS adds it itself", bos.ReferralToken)
	return bos.Some(clean)
}

// list takes a list of names; empty ones name nothing, and so does an empty
// list.
func (d *doc) list(o *object, path, name string, most int) bos.Opt[[]string] {
	raw, ok := d.take(o, path, name)
	if !ok {
		return bos.Opt[[]string]{}
	}
	field := join(path, name)
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		d.leave(field, raw, "is no list")
		return bos.Opt[[]string]{}
	}
	list := make([]string, 0, len(items))
	for i, item := range items {
		s, ok := textOf(item)
		switch {
		case string(item) == "null", ok && s == "":
			d.changed(field, "an empty item was dropped")
			continue
		case !ok || utf8.RuneCountInString(s) > maxNode:
			d.leave(fmt.Sprintf("%s[%d]", field, i), item, "is no text of 1 to %d characters", maxNode)
			continue
		case item[0] != '"':
			d.changed(field, "a number became a text")
		}
		list = append(list, s)
	}
	switch {
	case len(list) == 0:
		d.changed(field, "dropped: it is empty")
		return bos.Opt[[]string]{}
	case len(list) > most:
		d.leave(field, raw, "has %d items, at most %d are allowed", len(list), most)
	}
	return bos.Some(list)
}
