// SPDX-License-Identifier: MIT

package bos

import (
	"errors"
	"fmt"
	"strings"

	"bos/internal/xname"
)

// ReferralToken is the kernel parameter by which a node learns its BSS token.
// BOS appends it itself.
const ReferralToken = "bss_referral_token"

// maxConfigurationName is the longest configuration name that CFS takes.
const maxConfigurationName = 60

// maxBootSets is how many boot sets a template may have.
const maxBootSets = 127

// maxName is the length of the longest name.
const maxName = 127

// ValidName reports whether s may name a template, a session or a boot set: 1
// to 127 letters, digits, '.', '-' or '_', a letter or a digit at both ends.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		inner := i > 0 && i < len(s)-1
		if !alnum && (!inner || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// Sanitize brings the template of a request into the form in which it is
// stored: name and tenant are set, boot sets without an architecture get X86,
// empty cfs are dropped at both levels, so are the boot sets' own names; node
// lists are lower-cased and the names of nodes in them zero-stripped.
func (t Template) Sanitize(name, tenant string) Template {
	t.Name, t.Tenant = name, tenant
	t.CFS = dropEmptyCFS(t.CFS)
	sets := BootSets{}
	for key, set := range t.BootSets.All() {
		set.Name = Opt[string]{}
		set.CFS = dropEmptyCFS(set.CFS)
		set.Arch = Some(set.ArchOrDefault())
		if list, ok := set.NodeList.Get(); ok {
			clean := make([]string, len(list))
			for i, node := range list {
				clean[i] = xname.CanonicalNodes(node)
			}
			set.NodeList = Some(clean)
		}
		sets.Set(key, set)
	}
	t.BootSets = sets
	return t
}

func dropEmptyCFS(c Opt[CFS]) Opt[CFS] {
	if c.Value().Configuration.Value() == "" {
		return Opt[CFS]{}
	}
	return c
}

// BootSetFacts are what was found out about a boot set's image.
type BootSetFacts struct {
	// Manifest is the image's manifest, ManifestErr why there is none.
	Manifest    Manifest
	ManifestErr error
	// Objects says for each artifact that was looked for in S3 why it can't be
	// read; nil or missing if it can.
	Objects map[ArtifactType]error
	// Image is what IMS says of the image; ImageErr why it says nothing: an
	// error with CodeNotFound for an unknown image. Both are unset if the path
	// is not that of an IMS image.
	Image    ImageFacts
	ImageErr error
}

// ImageFacts are an IMS image's record as far as boot sets are concerned.
type ImageFacts struct {
	// Arch is x86_64 or aarch64; x86_64 if IMS does not say.
	Arch string
	// Nonsense says that IMS's answer was no image record.
	Nonsense bool
	// Unchecked says that the site has no IMS, so that there is nothing to
	// compare with and nothing to warn of.
	Unchecked bool
}

// CheckTemplateRequest checks a template as it is at PUT or after PATCH, before
// it is sanitised: what needs no other service. Errors name the boot set and
// the field.
func CheckTemplateRequest(t *Template, opts Options) error {
	if n := t.BootSets.Len(); n > maxBootSets {
		return Errorf(CodeInvalid, "boot_sets: there would be %d; a template has at most %d", n, maxBootSets)
	}
	for key, set := range t.BootSets.All() {
		if own, ok := set.Name.Get(); ok && own != key {
			return Errorf(CodeInvalid, "boot_sets key (%s) does not match 'name' field of corresponding boot set (%s)", key, own)
		}
		if !ValidName(key) {
			return Errorf(CodeInvalid, "boot_sets.%s: a boot set's name has 1 to 127 letters, digits, '.', '-' or '_' "+
				"and begins and ends with a letter or a digit", key)
		}
		if err := checkParameters(key, set.KernelParameters.Value()); err != nil {
			return err
		}
		if !set.namesNodes() {
			return Errorf(CodeInvalid, "boot_sets.%s: one of node_list, node_groups and node_roles_groups must name something", key)
		}
		if opts.RejectNIDs && set.hasNIDs() {
			return Errorf(CodeInvalid, "Boot set %s: %s", key, textNIDs)
		}
	}
	return nil
}

// checkParameters refuses what would break a boot script (a newline starts a
// new command there) or BOS's own token.
func checkParameters(set, parameters string) error {
	if strings.ContainsAny(parameters, "\r\n") {
		return Errorf(CodeInvalid, "boot_sets.%s.kernel_parameters: line breaks are not allowed", set)
	}
	for _, word := range strings.Fields(parameters) {
		if word == ReferralToken || strings.HasPrefix(word, ReferralToken+"=") {
			return Errorf(CodeInvalid, "boot_sets.%s.kernel_parameters: %s is set by BOS itself", set, ReferralToken)
		}
	}
	return nil
}

const textNIDs = "Has NID in 'node_list'"

func (b *BootSet) namesNodes() bool {
	return len(b.NodeList.Value())+len(b.NodeRolesGroups.Value())+len(b.NodeGroups.Value()) > 0
}

func (b *BootSet) hasNIDs() bool {
	for _, node := range b.NodeList.Value() {
		if strings.HasPrefix(node, "nid") {
			return true
		}
	}
	return false
}

// CheckImageAtPut checks a boot set's image as far as it counts when a template
// is written: its architecture, and that IMS knows it or answers if the options
// ask for that. Missing artifacts are no error then.
func CheckImageAtPut(name string, b *BootSet, f BootSetFacts, opts Options) (warnings []string, err error) {
	warning, err := checkImage(b, f, opts)
	if err != nil {
		return nil, Errorf(CodeInvalid, "boot set '%s': %v", name, err)
	}
	if warning != "" {
		warnings = append(warnings, warning)
	}
	return warnings, nil
}

// CheckBootSet checks a boot set of a template for an operation: problems that
// keep a session from running are the error, others are warnings. facts are
// needed for boot and reboot only.
func (t *Template) CheckBootSet(b *BootSet, operation Operation, f BootSetFacts, opts Options) (warnings []string, err error) {
	if !b.namesNodes() {
		return nil, errors.New("None of node_list, node_groups and node_roles_groups names anything") //nolint:staticcheck // begins a sentence after its prefix
	}
	if p := b.RootfsProvider.Value(); p != "" && p != RootfsProviderSBPS {
		warnings = append(warnings, fmt.Sprintf("rootfs_provider '%s' is not supported; %s is", p, RootfsProviderSBPS))
	}
	if b.hasNIDs() {
		if opts.RejectNIDs {
			return nil, errors.New(textNIDs)
		}
		warnings = append(warnings, textNIDs)
	}
	if operation == OperationShutdown {
		return warnings, nil
	}
	for _, check := range []func() (string, error){
		func() (string, error) { return checkArtifacts(b, f) },
		func() (string, error) { return checkImage(b, f, opts) },
	} {
		warning, err := check()
		if err != nil {
			return nil, err
		}
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return append(warnings, t.hints(b)...), nil
}

// hints are warnings about what other services will make of the boot set.
func (t *Template) hints(b *BootSet) []string {
	var out []string
	if n := len(t.ConfigurationFor(b)); n > maxConfigurationName {
		out = append(out, fmt.Sprintf("cfs.configuration has %d characters; CFS takes at most %d", n, maxConfigurationName))
	}
	if strings.Contains(b.KernelParameters.Value(), "initrd") {
		out = append(out, "kernel_parameters contains 'initrd'; BSS cuts such a parameter")
	}
	return out
}

// checkArtifacts checks what a manifest lists and what of it is in S3. Without a
// kernel nothing boots; of the others only the first that is not as it should be
// is told of.
func checkArtifacts(b *BootSet, f BootSetFacts) (warning string, err error) {
	err = f.ManifestErr
	if err == nil {
		err = f.Manifest.check()
	}
	if err != nil {
		return "", fmt.Errorf("Can't find boot artifacts. Error: %s", UserText(err)) //nolint:staticcheck // a recorded text
	}
	_, err = f.Manifest.Find(ArtifactKernel)
	if err == nil {
		err = f.Objects[ArtifactKernel]
	}
	if err != nil {
		return "", fmt.Errorf("Can't find kernel in %s. Error: %s", b.Path, UserText(err)) //nolint:staticcheck // a recorded text
	}
	for _, t := range []ArtifactType{ArtifactInitrd, ArtifactBootParameters} {
		if _, err := f.Manifest.Find(t); err != nil {
			// Many images come without boot parameters of their own.
			if t == ArtifactInitrd {
				return fmt.Sprintf("%s doesn't contain a %s", b.Path, t.Name()), nil
			}
			continue
		}
		if err := f.Objects[t]; err != nil {
			return fmt.Sprintf("Unable to check %s in %s. Warning: %s", t.Name(), b.Path, UserText(err)), nil
		}
	}
	return "", nil
}

// imageArch is the architecture that IMS images for a boot set must have.
func imageArch(a Arch) string {
	if a == ArchARM {
		return "aarch64"
	}
	return "x86_64"
}

func checkImage(b *BootSet, f BootSetFacts, opts Options) (warning string, err error) {
	arch := b.ArchOrDefault()
	id := ImageID(b.Path)
	switch {
	case f.Image.Unchecked:
		return "", nil
	case id == "":
		return fmt.Sprintf("Boot artifact S3 URL '%s' doesn't follow convention for IMS images", b.Path), nil
	case IsNotFound(f.ImageErr):
		text := fmt.Sprintf("IMS image id '%s' does not exist in IMS", id)
		if opts.IMSImagesMustExist {
			return "", errors.New(text)
		}
		return text, nil
	case f.ImageErr != nil:
		text := UserText(f.ImageErr)
		if opts.IMSErrorsFatal {
			return "", errors.New(text)
		}
		if arch == ArchOther {
			return text, nil
		}
		return "Can't validate boot image arch: " + text, nil
	case arch == ArchOther:
		return "Can't validate boot image arch: Boot set arch set to 'Other'", nil
	case f.Image.Nonsense:
		text := fmt.Sprintf("IMS's answer for the image '%s' is no image record", id)
		if opts.IMSErrorsFatal {
			return "", errors.New(text)
		}
		return text, nil
	case f.Image.Arch != imageArch(arch):
		return "", fmt.Errorf("Boot set arch '%s' means IMS image arch should be '%s', but actual IMS image arch is '%s'", //nolint:staticcheck // a recorded text
			arch, imageArch(arch), f.Image.Arch)
	}
	return "", nil
}

// BootSetText puts the fixed beginning in front of a message about a boot set.
func BootSetText(template, set, message string) string {
	return fmt.Sprintf("Session template: '%s' boot set: '%s': %s", template, set, message)
}

// UserText returns what users may read of an error: the message of the first
// [Error] in its chain, else that something went wrong inside.
func UserText(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return "an internal problem; the service's log says more"
}
