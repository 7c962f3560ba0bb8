// SPDX-License-Identifier: MIT

package bootimage_test

import (
	"strings"
	"testing"

	"bos/internal/bootimage"
	"bos/internal/bos"
)

const sbps = " root=sbps-s3:s3://boot-images/img/rootfs:etag-of-rootfs nmd_data=url=s3://boot-images/img/rootfs,etag=etag-of-rootfs"

// everything are the artifacts of an image that has all of them.
func everything() []entry {
	return entries(bos.ArtifactKernel, bos.ArtifactInitrd, bos.ArtifactRootfs, bos.ArtifactBootParameters)
}

// with returns the manifest of everything with one artifact changed.
func with(i int, change func(*entry)) string {
	list := everything()
	change(&list[i])
	return manifest(list)
}

// targeting is an image in a bucket, and the kernel parameters or the error that
// come of it.
type targeting struct {
	name string
	// manifest is that of everything if it is "".
	manifest string
	// parameters are the image's, "-" for none.
	parameters string
	change     func(*bos.BootSet)
	want       string
	code       bos.Code
	err        string
}

func (tt targeting) run(t *testing.T) {
	if tt.manifest == "" {
		tt.manifest = manifest(everything())
	}
	objects := map[string]string{"img/manifest.json": tt.manifest, "img/boot_parameters": tt.parameters}
	if tt.parameters == "-" {
		delete(objects, "img/boot_parameters")
	}
	set := image()
	if tt.change != nil {
		tt.change(&set)
	}
	got, err := bootimage.New(bucket(t, objects), nil, nil).Target(t.Context(), &bos.Template{}, &set, "4h")
	if tt.err != "" {
		if bos.CodeOf(err) != tt.code || text(t, err) != tt.err {
			t.Errorf("got  %s: %v\nwant %s: %s", bos.CodeOf(err), err, tt.code, tt.err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	a := got.BootArtifacts
	if a.KernelParameters.Value() != tt.want || a.Kernel.Value() != "s3://boot-images/img/kernel" || a.Initrd.Value() != "s3://boot-images/img/initrd" {
		t.Errorf("got  %+v\nwant %s", got, tt.want)
	}
}

func TestTarget(t *testing.T) {
	for _, tt := range []targeting{
		{name: "everything", parameters: " console=ttyS0\n\tquiet\r\n", want: "console=ttyS0 quiet" + sbps + " bos_update_frequency=4h"},
		{name: "UTF-8", parameters: "name=café", want: "name=café" + sbps + " bos_update_frequency=4h"},
		{name: "empty parameters", want: strings.TrimSpace(sbps) + " bos_update_frequency=4h"},
		{name: "no provider needs no rootfs", manifest: manifest(entries(bos.ArtifactKernel, bos.ArtifactInitrd)),
			change: func(b *bos.BootSet) {
				b.RootfsProvider, b.RootfsProviderPassthrough = bos.Opt[string]{}, bos.Some("pass:through")
			},
			want: "root=::pass:through bos_update_frequency=4h"},
		{name: "tab of the user's", change: func(b *bos.BootSet) { b.KernelParameters = bos.Some("a\tb") },
			want: "a\tb" + sbps + " bos_update_frequency=4h"},
		{name: "boot parameters just not too large", parameters: strings.Repeat(" ", bos.MaxManifest),
			want: strings.TrimSpace(sbps) + " bos_update_frequency=4h"},
	} {
		t.Run(tt.name, tt.run)
	}
}

// Images that no node can boot.
func TestTargetOfBrokenImage(t *testing.T) {
	all := everything()
	for _, tt := range []targeting{
		{name: "no kernel", manifest: manifest(all[1:]), code: bos.CodeNotFound, err: "'" + imgPath + "': the image manifest lists no kernel"},
		{name: "two kernels", manifest: manifest(append(entries(bos.ArtifactKernel), all...)), code: bos.CodeInvalid,
			err: "'" + imgPath + "': the image manifest lists 2 artifacts of the type kernel"},
		{name: "no initrd", manifest: manifest(append(entries(bos.ArtifactKernel), all[2:]...)), code: bos.CodeNotFound,
			err: "'" + imgPath + "': the image manifest lists no initrd"},
		{name: "no rootfs", manifest: manifest(all[:2]), code: bos.CodeNotFound, err: "'" + imgPath + "': the image manifest lists no rootfs"},
		{name: "two boot parameters", manifest: manifest(append(all, all[3])), code: bos.CodeInvalid,
			err: "'" + imgPath + "': the image manifest lists 2 artifacts of the type boot_parameters"},
		{name: "boot parameters gone", parameters: "-", code: bos.CodeNotFound, err: "'s3://boot-images/img/boot_parameters' does not exist in S3"},
		{name: "boot parameters not UTF-8", parameters: "\xff\xfe\xfd\xfc", code: bos.CodeInvalid,
			err: "'s3://boot-images/img/boot_parameters' is not text in UTF-8"},
		{name: "boot parameters too large", parameters: strings.Repeat(" ", bos.MaxManifest+1), code: bos.CodeTooLarge,
			err: "'s3://boot-images/img/boot_parameters' is larger than 1048576 bytes"},
		{name: "manifest too large", manifest: manifest(all) + strings.Repeat(" ", bos.MaxManifest), code: bos.CodeTooLarge,
			err: "'" + imgPath + "' is larger than 1048576 bytes"},
		{name: "manifest broken", manifest: "{not json", code: bos.CodeInvalid,
			err: "'" + imgPath + "': the image manifest is not a JSON object with a list of artifacts"},
		{name: "manifest binary", manifest: "\xff\xfe\xfd\xfc", code: bos.CodeInvalid, err: "'" + imgPath + "': the image manifest is not text in UTF-8"},
		{name: "manifest without artifacts", manifest: "{}", code: bos.CodeInvalid, err: "'" + imgPath + "': the image manifest has no list of artifacts"},
	} {
		t.Run(tt.name, tt.run)
	}
}

// Boot sets and images whose words don't fit together.
func TestTargetWithWrongWords(t *testing.T) {
	for _, tt := range []targeting{
		{name: "too long once assembled", parameters: strings.Repeat("a ", 2048), code: bos.CodeInvalid,
			err: "the kernel parameters have 4236 characters once assembled; at most 4096 are allowed"},
		{name: "provider", change: func(b *bos.BootSet) { b.RootfsProvider = bos.Some("cpss3") }, code: bos.CodeInvalid,
			err: `rootfs_provider "cpss3" is not supported; sbps is`},
		{name: "type", change: func(b *bos.BootSet) { b.Type = "ims" }, code: bos.CodeInvalid, err: "type 'ims' is not supported; s3 is"},
		{name: "path", change: func(b *bos.BootSet) { b.Path = "img/manifest.json" }, code: bos.CodeInvalid,
			err: "'img/manifest.json' is not a path of the form s3://bucket/key"},
		{name: "kernel with a line break", manifest: with(0, func(e *entry) { e.path += "\n" }), code: bos.CodeInvalid,
			err: "'" + imgPath + "': the image manifest's link to its kernel holds blanks or control characters"},
		{name: "kernel's path too long", manifest: with(0, func(e *entry) { e.path += strings.Repeat("k", 4095) }), code: bos.CodeInvalid,
			err: "'" + imgPath + "': the image manifest's path of its kernel has more than 4095 characters"},
		{name: "rootfs with parameters", manifest: with(2, func(e *entry) { e.etag = "x init=/bin/sh" }), code: bos.CodeInvalid,
			err: "'" + imgPath + "': the image manifest's link to its rootfs holds blanks or control characters"},
		{name: "passthrough with a line break", change: func(b *bos.BootSet) { b.RootfsProviderPassthrough = bos.Some("a\nb") }, code: bos.CodeInvalid,
			err: "'" + imgPath + "': the kernel parameters hold line breaks or other control characters once assembled"},
		{name: "token in the image", parameters: "quiet bss_referral_token=1", code: bos.CodeInvalid,
			err: "'" + imgPath + "': the kernel parameters hold bss_referral_token once assembled; it is set by BOS itself"},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestConfigurationOfTarget(t *testing.T) {
	set := image()
	set.CFS = bos.Some(bos.CFS{Configuration: bos.Some("own")})
	for want, template := range map[string]bos.Template{
		"own": {CFS: bos.Some(bos.CFS{Configuration: bos.Some("shared")})},
		"":    {EnableCFS: bos.Some(false)},
	} {
		got, err := bootimage.New(whole(), nil, nil).Target(t.Context(), &template, &set, "4h")
		if err != nil || got.Configuration != want {
			t.Errorf("got %q, %v, want %q", got.Configuration, err, want)
		}
	}
}
