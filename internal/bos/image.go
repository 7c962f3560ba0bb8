// SPDX-License-Identifier: MIT

package bos

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxManifest is the size in bytes of the largest image manifest that is read;
// the same bound holds for an image's boot parameters.
const MaxManifest = 1 << 20

// MaxKernelParameters is how long kernel parameters may be once assembled.
const MaxKernelParameters = 4096

// RootfsProviderSBPS is the one rootfs provider that BOS supports.
const RootfsProviderSBPS = "sbps"

// ArtifactType is the media type of an artifact in an image's manifest.
type ArtifactType string

// The artifacts that BOS looks for.
const (
	ArtifactKernel         ArtifactType = "application/vnd.cray.image.kernel"
	ArtifactInitrd         ArtifactType = "application/vnd.cray.image.initrd"
	ArtifactRootfs         ArtifactType = "application/vnd.cray.image.rootfs.squashfs"
	ArtifactBootParameters ArtifactType = "application/vnd.cray.image.parameters.boot"
)

// Name returns what people call the artifact.
func (t ArtifactType) Name() string {
	switch t {
	case ArtifactKernel:
		return "kernel"
	case ArtifactInitrd:
		return "initrd"
	case ArtifactRootfs:
		return "rootfs"
	case ArtifactBootParameters:
		return "boot_parameters"
	}
	return string(t)
}

// Artifact is one object of an image in S3.
type Artifact struct {
	Path string
	ETag string
}

// Manifest lists the artifacts of an image.
type Manifest struct {
	artifacts map[ArtifactType][]Artifact
}

// ErrNoArtifact says that a manifest has no artifact of a type.
var ErrNoArtifact = errors.New("not in the manifest")

// ParseManifest reads an image's manifest: a JSON object with a list of
// artifacts. Entries that are no artifacts with a path are an error.
func ParseManifest(data []byte) (Manifest, error) {
	var wire struct {
		Artifacts []struct {
			Type string `json:"type"`
			Link struct {
				Path string `json:"path"`
				ETag string `json:"etag"`
			} `json:"link"`
		} `json:"artifacts"`
	}
	if !utf8.Valid(data) {
		return Manifest{}, Errorf(CodeInvalid, "the image manifest is not text in UTF-8")
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return Manifest{}, &Error{Code: CodeInvalid, Message: "the image manifest is not a JSON object with a list of artifacts", Err: err}
	}
	if wire.Artifacts == nil {
		return Manifest{}, Errorf(CodeInvalid, "the image manifest has no list of artifacts")
	}
	m := Manifest{artifacts: map[ArtifactType][]Artifact{}}
	for _, a := range wire.Artifacts {
		t := ArtifactType(a.Type)
		m.artifacts[t] = append(m.artifacts[t], Artifact{Path: a.Link.Path, ETag: a.Link.ETag})
	}
	return m, nil
}

// Find returns the artifact of a type. None is [ErrNoArtifact]; more than one,
// or one without a path, is an error too.
func (m Manifest) Find(t ArtifactType) (Artifact, error) {
	found := m.artifacts[t]
	switch {
	case len(found) == 0:
		return Artifact{}, &Error{Code: CodeNotFound, Message: "the image manifest lists no " + t.Name(), Err: ErrNoArtifact}
	case len(found) > 1:
		return Artifact{}, Errorf(CodeInvalid, "the image manifest lists %d artifacts of the type %s", len(found), t.Name())
	case found[0].Path == "":
		return Artifact{}, Errorf(CodeInvalid, "the image manifest names no path for its %s", t.Name())
	}
	return found[0], nil
}

// check reports the first artifact that can't be told from others or found.
func (m Manifest) check() error {
	for _, t := range []ArtifactType{ArtifactKernel, ArtifactInitrd, ArtifactRootfs, ArtifactBootParameters} {
		if _, err := m.Find(t); err != nil && !errors.Is(err, ErrNoArtifact) {
			return err
		}
	}
	return nil
}

// ImageID returns the IMS id in a path to an image's manifest or kernel: the
// first part of a key of two or more parts. The scheme and the bucket are not
// looked at, nor need they be there; "" means that the path is not that of an
// IMS image.
func ImageID(path string) string {
	key := path
	if scheme, rest, ok := strings.Cut(path, ":"); ok && isScheme(scheme) {
		key = rest
	}
	if rest, ok := strings.CutPrefix(key, "//"); ok {
		_, key, _ = strings.Cut(rest, "/")
	}
	key = strings.TrimLeft(key, "/")
	id, rest, ok := strings.Cut(key, "/")
	if !ok || id == "" || rest == "" {
		return ""
	}
	return id
}

// isScheme reports whether s is the scheme of a URL (RFC 3986, section 3.1).
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+.-", rune(c))) {
			return false
		}
	}
	return s != ""
}

// KernelParts are what the kernel parameters of a boot set are put together
// from.
type KernelParts struct {
	// Image is the content of the image's boot_parameters object, "" if it has
	// none. Its words count, not its white space.
	Image string
	// BootSet is the boot set; Rootfs the image's root file system, needed with
	// the provider sbps only.
	BootSet *BootSet
	Rootfs  *Artifact
	// UpdateFrequency is the option component_actual_state_ttl.
	UpdateFrequency string
}

// KernelParameters assembles kernel parameters, joined by single blanks: the
// image's, the boot set's, the root file system's, the node memory dump's, and
// how often the node has to report. Unsupported rootfs providers and too long
// a result are errors.
func KernelParameters(p KernelParts) (string, error) {
	words := strings.Fields(p.Image)
	if own := p.BootSet.KernelParameters.Value(); own != "" {
		words = append(words, own)
	}
	passthrough := p.BootSet.RootfsProviderPassthrough.Value()
	switch provider := p.BootSet.RootfsProvider.Value(); provider {
	case RootfsProviderSBPS:
		if p.Rootfs == nil {
			return "", Errorf(CodeInvalid, "rootfs_provider is sbps, but the image has no root file system")
		}
		root := fmt.Sprintf("root=sbps-s3:%s:%s", p.Rootfs.Path, p.Rootfs.ETag)
		if passthrough != "" {
			root += ":" + passthrough
		}
		words = append(words, root, fmt.Sprintf("nmd_data=url=%s,etag=%s", p.Rootfs.Path, p.Rootfs.ETag))
	case "":
		if passthrough != "" {
			words = append(words, "root=::"+passthrough)
		}
	default:
		return "", Errorf(CodeInvalid, "rootfs_provider %q is not supported; %s is", provider, RootfsProviderSBPS)
	}
	words = append(words, "bos_update_frequency="+p.UpdateFrequency)
	all := strings.Join(words, " ")
	if n := utf8.RuneCountInString(all); n > MaxKernelParameters {
		return "", Errorf(CodeInvalid, "the kernel parameters have %d characters once assembled; at most %d are allowed",
			n, MaxKernelParameters)
	}
	return all, nil
}

// joinToken is a kernel parameter that differs at every boot.
const joinToken = "spire_join_token="

// SameArtifacts reports whether two sets of artifacts are the same boot:
// kernel, initrd and kernel parameters but for the join token.
func SameArtifacts(a, b BootArtifacts) bool {
	return a.Kernel.Value() == b.Kernel.Value() &&
		a.Initrd.Value() == b.Initrd.Value() &&
		sameParameters(a.KernelParameters.Value(), b.KernelParameters.Value())
}

func sameParameters(a, b string) bool {
	return a == b || withoutJoinToken(a) == withoutJoinToken(b)
}

func withoutJoinToken(parameters string) string {
	if !strings.Contains(parameters, joinToken) {
		return parameters
	}
	words := strings.Fields(parameters)
	kept := words[:0]
	for _, w := range words {
		if !strings.HasPrefix(w, joinToken) {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}
