// SPDX-License-Identifier: MIT

package bos

import (
	"encoding/json"
)

// Template is a session template: boot sets and what they share.
type Template struct {
	Name        string
	Tenant      string
	Description Opt[string]
	EnableCFS   Opt[bool]
	CFS         Opt[CFS]
	BootSets    BootSets
}

// CFS names the configuration that nodes get after they have booted.
type CFS struct {
	Configuration Opt[string] `json:"configuration,omitzero"`
}

// Arch is the architecture of a boot set's nodes.
type Arch string

// The architectures of boot sets.
const (
	ArchX86     Arch = "X86"
	ArchARM     Arch = "ARM"
	ArchOther   Arch = "Other"
	ArchUnknown Arch = "Unknown"
)

// BootSet is a set of nodes and what they are to run. Its name is its key in
// the template; Name is only what a request says it is.
type BootSet struct {
	Name Opt[string] `json:"name,omitzero"`
	// Path, Type and ETag are those of the image's manifest. In a request they
	// may be empty if IMSImageID is there.
	Path string      `json:"path"`
	Type string      `json:"type"`
	ETag Opt[string] `json:"etag,omitzero"`
	// IMSImageID is the image's id in IMS, where the manifest is looked up.
	IMSImageID                Opt[string]   `json:"ims_image_id,omitzero"`
	KernelParameters          Opt[string]   `json:"kernel_parameters,omitzero"`
	CFS                       Opt[CFS]      `json:"cfs,omitzero"`
	NodeList                  Opt[[]string] `json:"node_list,omitzero"`
	NodeRolesGroups           Opt[[]string] `json:"node_roles_groups,omitzero"`
	NodeGroups                Opt[[]string] `json:"node_groups,omitzero"`
	Arch                      Opt[Arch]     `json:"arch,omitzero"`
	RootfsProvider            Opt[string]   `json:"rootfs_provider,omitzero"`
	RootfsProviderPassthrough Opt[string]   `json:"rootfs_provider_passthrough,omitzero"`
}

// ArchOrDefault returns the boot set's architecture, X86 if it names none.
func (b *BootSet) ArchOrDefault() Arch { return b.Arch.Or(ArchX86) }

// Key returns the template's identity.
func (t *Template) Key() TemplateKey { return TemplateKey{Tenant: t.Tenant, Name: t.Name} }

// ConfigurationFor returns the configuration of a boot set's nodes: none if
// the template turns CFS off, else the boot set's, else the template's.
func (t *Template) ConfigurationFor(b *BootSet) string {
	if !t.EnableCFS.Or(true) {
		return ""
	}
	if own := b.CFS.Value().Configuration.Value(); own != "" {
		return own
	}
	return t.CFS.Value().Configuration.Value()
}

type templateJSON struct {
	Name        string      `json:"name"`
	Tenant      *string     `json:"tenant"`
	Description Opt[string] `json:"description,omitzero"`
	EnableCFS   Opt[bool]   `json:"enable_cfs,omitzero"`
	CFS         Opt[CFS]    `json:"cfs,omitzero"`
	BootSets    BootSets    `json:"boot_sets"`
}

// MarshalJSON writes the template as clients see it; tenant is null for
// nobody's.
func (t Template) MarshalJSON() ([]byte, error) {
	return json.Marshal(templateJSON{t.Name, nullable(t.Tenant), t.Description, t.EnableCFS, t.CFS, t.BootSets})
}

// UnmarshalJSON reads what MarshalJSON writes, or the body of a PUT.
func (t *Template) UnmarshalJSON(data []byte) error {
	var wire templateJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	*t = Template{
		Name: wire.Name, Description: wire.Description, EnableCFS: wire.EnableCFS,
		CFS: wire.CFS, BootSets: wire.BootSets,
	}
	if wire.Tenant != nil {
		t.Tenant = *wire.Tenant
	}
	return nil
}

// TemplateRecord is a stored template.
type TemplateRecord struct {
	Template Template `json:"doc"`
	// Revision is the store's revision of the last write.
	Revision int64 `json:"-"`
}

// TemplatePatch is the body of PATCH /v2/sessiontemplates/{id}.
type TemplatePatch struct {
	Description Opt[string] `json:"description,omitzero"`
	EnableCFS   Opt[bool]   `json:"enable_cfs,omitzero"`
	CFS         Opt[CFS]    `json:"cfs,omitzero"`
	BootSets    BootSets    `json:"boot_sets"`
}

// Patch merges a patch into a template: top-level fields replace, cfs merges,
// boot sets merge by name and then field by field; new ones are appended.
func (t Template) Patch(p TemplatePatch) Template {
	t.Description = t.Description.overlay(p.Description)
	t.EnableCFS = t.EnableCFS.overlay(p.EnableCFS)
	t.CFS = overlayWith(t.CFS, p.CFS, mergeCFS)
	sets := t.BootSets.clone()
	for name, patch := range p.BootSets.All() {
		if old, ok := sets.Get(name); ok {
			sets.Set(name, mergeBootSet(old, patch))
		} else {
			sets.Set(name, patch)
		}
	}
	t.BootSets = sets
	return t
}

func mergeCFS(old, patch CFS) CFS {
	return CFS{Configuration: old.Configuration.overlay(patch.Configuration)}
}

func mergeBootSet(old, patch BootSet) BootSet {
	etag := old.ETag.overlay(patch.ETag)
	if patch.IMSImageID.IsSet() || old.IMSImageID.IsSet() {
		// The old one is that of another image, or was looked up.
		etag = patch.ETag
	}
	return BootSet{
		Name: old.Name.overlay(patch.Name),
		// A patch names the image one way or the other; what it was named by
		// before is over.
		Path:                      patch.Path,
		Type:                      patch.Type,
		ETag:                      etag,
		IMSImageID:                patch.IMSImageID,
		KernelParameters:          old.KernelParameters.overlay(patch.KernelParameters),
		CFS:                       overlayWith(old.CFS, patch.CFS, mergeCFS),
		NodeList:                  old.NodeList.overlay(patch.NodeList),
		NodeRolesGroups:           old.NodeRolesGroups.overlay(patch.NodeRolesGroups),
		NodeGroups:                old.NodeGroups.overlay(patch.NodeGroups),
		Arch:                      old.Arch.overlay(patch.Arch),
		RootfsProvider:            old.RootfsProvider.overlay(patch.RootfsProvider),
		RootfsProviderPassthrough: old.RootfsProviderPassthrough.overlay(patch.RootfsProviderPassthrough),
	}
}
