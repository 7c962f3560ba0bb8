// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"bos/internal/api/apitypes"
	"bos/internal/client"
	"bos/internal/xname"
)

// template is a session template with its boot sets in order.
type template struct {
	Name        string                 `json:"name"`
	Tenant      string                 `json:"tenant"`
	Description string                 `json:"description"`
	EnableCFS   *bool                  `json:"enable_cfs"`
	CFS         apitypes.CfsParameters `json:"cfs"`
	BootSets    bootSets               `json:"boot_sets"`
}

type bootSet struct {
	apitypes.BootSet

	key string
}

// bootSets keep the order in which they are sent: set-up follows it.
type bootSets []bootSet

// UnmarshalJSON reads an object.
func (b *bootSets) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var one bootSet
		one.key, _ = key.(string)
		if err := dec.Decode(&one.BootSet); err != nil {
			return err
		}
		*b = append(*b, one)
	}
	return nil
}

// configuration says how a template's nodes are configured.
func (t *template) configuration() string {
	if t.EnableCFS != nil && !*t.EnableCFS {
		return "(off)"
	}
	names := make([]string, 0, 1+len(t.BootSets))
	for _, b := range t.BootSets {
		name := val(val(b.Cfs).Configuration)
		if name == "" {
			name = val(t.CFS.Configuration)
		}
		names = append(names, name)
	}
	return distinct(names)
}

// distinct joins texts, each of them once and none that is empty.
func distinct(texts []string) string {
	var out []string
	for _, text := range texts {
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ",")
}

// templatesView lists session templates.
func templatesView(s *screen, list *client.Stream) error {
	t := table{columns: []column{
		{title: "NAME"}, {title: "TENANT", min: 8, optional: true}, {title: "BOOT SETS", min: 9},
		{title: "ARCH", drop: 1}, {title: "CONFIGURATION", min: 13}, {title: "DESCRIPTION", min: 11},
	}}
	for one, err := range client.Each[template](list) {
		if err != nil {
			return err
		}
		var sets, arches []string
		for _, b := range one.BootSets {
			sets = append(sets, b.key)
			arches = append(arches, string(val(b.Arch)))
		}
		t.row(
			cell{text: one.Name}, cell{text: one.Tenant}, cell{text: strings.Join(sets, ",")},
			cell{text: distinct(arches)}, cell{text: one.configuration()}, cell{text: one.Description},
		)
	}
	return t.write(s)
}

// templateView shows one session template.
func templateView(s *screen, raw json.RawMessage) error {
	one, err := client.Decode[template](raw)
	if err != nil {
		return err
	}
	var f fields
	f.some("Name", one.Name)
	f.some("Tenant", one.Tenant)
	f.add("Description", one.Description)
	f.add("Configuration", val(one.CFS.Configuration))
	if one.EnableCFS != nil && !*one.EnableCFS {
		f.add("Configures", "no: enable_cfs is false")
	}
	for _, b := range one.BootSets {
		f.title("Boot set " + clean(b.key))
		f.some("  Nodes", nodeList(val(b.NodeList)))
		f.some("  Roles", strings.Join(val(b.NodeRolesGroups), ", "))
		f.some("  Groups", strings.Join(val(b.NodeGroups), ", "))
		f.some("  Arch", string(val(b.Arch)))
		f.add("  Image", b.Path)
		// There is no other type that works.
		if b.Type != "s3" {
			f.add("  Type", b.Type)
		}
		f.some("  Etag", val(b.Etag))
		f.some("  Parameters", val(b.KernelParameters))
		f.some("  Rootfs", val(b.RootfsProvider))
		f.some("  Passthrough", val(b.RootfsProviderPassthrough))
		f.some("  Configuration", val(val(b.Cfs).Configuration))
	}
	return f.write(s)
}

func nodeList(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return fmt.Sprintf("%d: %s", len(ids), xname.Fold(ids))
}

// textView shows an answer that is a text.
func textView(s *screen, raw json.RawMessage) error {
	text, err := client.Decode[string](raw)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.out, clean(text)+"\n")
	return err
}

// optionsView lists options with their values.
func optionsView(s *screen, raw json.RawMessage) error {
	all, err := parseJSON(raw)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	t := table{columns: []column{{title: "OPTION"}, {title: "VALUE", min: 8}}}
	for i, name := range all.keys {
		text := all.items[i].text
		if kind := all.items[i].kind; kind == kindArray || kind == kindObject || kind == kindNull {
			text = string(all.items[i].JSON())
		}
		t.row(cell{text: name}, cell{text: text})
	}
	slices.SortFunc(t.rows, func(a, b []cell) int { return strings.Compare(a[0].text, b[0].text) })
	return t.write(s)
}
