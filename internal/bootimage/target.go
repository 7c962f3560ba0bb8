// SPDX-License-Identifier: MIT

package bootimage

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"bos/internal/bos"
)

// maxPath is the length in characters of the longest path in a component's boot
// artifacts.
const maxPath = 4095

// Target returns the state that the nodes of a boot set shall get to boot or
// reboot. updateFrequency is the option component_actual_state_ttl.
//
// The error has [bos.CodeUnavailable] while a service is away, which says
// nothing about the image; any other code is a fault of the boot set or of its
// image that another try does not mend.
func (r *Reader) Target(ctx context.Context, t *bos.Template, set *bos.BootSet, updateFrequency string) (bos.Target, error) {
	now, err := r.current(ctx, *set)
	if err != nil {
		return bos.Target{}, err
	}
	set = &now
	m, err := r.manifest(ctx, set)
	if err != nil {
		return bos.Target{}, err
	}
	kernel, err := find(set, m, bos.ArtifactKernel)
	if err != nil {
		return bos.Target{}, err
	}
	initrd, err := find(set, m, bos.ArtifactInitrd)
	if err != nil {
		return bos.Target{}, err
	}
	parts := bos.KernelParts{BootSet: set, UpdateFrequency: updateFrequency}
	if set.RootfsProvider.Value() == bos.RootfsProviderSBPS {
		rootfs, err := find(set, m, bos.ArtifactRootfs)
		if err != nil {
			return bos.Target{}, err
		}
		parts.Rootfs = &rootfs
	}
	if parts.Image, err = r.bootParameters(ctx, set, m); err != nil {
		return bos.Target{}, err
	}
	parameters, err := bos.KernelParameters(parts)
	if err != nil {
		return bos.Target{}, err
	}
	if err := checkParameters(parameters); err != nil {
		return bos.Target{}, about(set.Path, err)
	}
	return bos.Target{
		BootArtifacts: bos.BootArtifacts{
			Kernel:           bos.Some(kernel.Path),
			KernelParameters: bos.Some(parameters),
			Initrd:           bos.Some(initrd.Path),
		},
		Configuration: t.ConfigurationFor(set),
	}, nil
}

// find returns an artifact that the image must have, with a path that can stand
// in a boot script, and an ETag that can if it will.
func find(set *bos.BootSet, m bos.Manifest, t bos.ArtifactType) (bos.Artifact, error) {
	artifact, err := m.Find(t)
	if err != nil {
		return bos.Artifact{}, about(set.Path, err)
	}
	if utf8.RuneCountInString(artifact.Path) > maxPath {
		return bos.Artifact{}, about(set.Path, bos.Errorf(bos.CodeInvalid,
			"the image manifest's path of its %s has more than %d characters", t.Name(), maxPath))
	}
	words := artifact.Path
	if t == bos.ArtifactRootfs {
		words += artifact.ETag
	}
	if strings.ContainsFunc(words, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return bos.Artifact{}, about(set.Path, bos.Errorf(bos.CodeInvalid,
			"the image manifest's link to its %s holds blanks or control characters", t.Name()))
	}
	return artifact, nil
}

// bootParameters reads the image's own kernel parameters, "" if it has none.
func (r *Reader) bootParameters(ctx context.Context, set *bos.BootSet, m bos.Manifest) (string, error) {
	artifact, err := m.Find(bos.ArtifactBootParameters)
	if errors.Is(err, bos.ErrNoArtifact) {
		return "", nil
	}
	if err != nil {
		return "", about(set.Path, err)
	}
	data, info, err := r.objects.Get(ctx, artifact.Path, bos.MaxManifest)
	if err != nil {
		return "", about(artifact.Path, answer(serviceS3, err))
	}
	r.compareETags(ctx, artifact.Path, "manifest", artifact.ETag, info)
	if !utf8.Valid(data) {
		return "", bos.Errorf(bos.CodeInvalid, "'%s' is not text in UTF-8", artifact.Path)
	}
	return string(data), nil
}

// checkParameters refuses assembled kernel parameters that would do something
// else than what they say: a line break begins a new command in a boot script,
// and a node reports the first token that it finds, so that one which is not
// BOS's own would make it boot over and over.
func checkParameters(parameters string) error {
	if strings.ContainsFunc(parameters, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
		return bos.Errorf(bos.CodeInvalid, "the kernel parameters hold line breaks or other control characters once assembled")
	}
	for word := range strings.FieldsSeq(parameters) {
		if name, _, _ := strings.Cut(word, "="); name == bos.ReferralToken {
			return bos.Errorf(bos.CodeInvalid, "the kernel parameters hold %s once assembled; it is set by BOS itself", bos.ReferralToken)
		}
	}
	return nil
}
