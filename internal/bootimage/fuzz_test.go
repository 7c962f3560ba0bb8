// SPDX-License-Identifier: MIT

package bootimage_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"bos/internal/bootimage"
	"bos/internal/bos"
	"bos/internal/upstream/ims"
	"bos/internal/upstream/s3"
)

// anyObject has one content for manifests and another for everything else.
type anyObject struct{ manifest, other []byte }

func (o anyObject) Get(_ context.Context, path string, _ int64) ([]byte, s3.ObjectInfo, error) {
	if path == imgPath {
		return o.manifest, s3.ObjectInfo{Size: int64(len(o.manifest))}, nil
	}
	return o.other, s3.ObjectInfo{Size: int64(len(o.other))}, nil
}

func (o anyObject) Head(_ context.Context, path string) (s3.ObjectInfo, error) {
	_, info, err := o.Get(context.Background(), path, 0)
	return info, err
}

func (o anyObject) Image(_ context.Context, id string) (ims.Image, error) {
	return ims.Image{ID: id, Arch: string(o.other)}, nil
}

// Whatever an image consists of, what nodes get from it can be stored and stands
// on one line of a boot script; or the fault has words that users may see.
func FuzzImage(f *testing.F) {
	all := manifest(entries(bos.ArtifactKernel, bos.ArtifactInitrd, bos.ArtifactRootfs, bos.ArtifactBootParameters))
	f.Add([]byte(all), []byte("console=ttyS0 quiet\n"), "own=1", "sbps", "sbps:v1:iqn")
	f.Add([]byte(strings.ReplaceAll(all, "s3://", `s3:\u000a//`)), []byte("bss_referral_token=x"), "", "", "x\ny")
	f.Add([]byte(strings.ReplaceAll(all, "etag", `ETag`)), []byte("\xff"), "a\tb", "ims", "")
	f.Add([]byte(`{"artifacts":[]}`), []byte(""), "\u2028", "sbps", "")
	f.Fuzz(func(t *testing.T, manifest, other []byte, own, provider, passthrough string) {
		objects := anyObject{manifest, other}
		set := image()
		set.KernelParameters, set.RootfsProvider, set.RootfsProviderPassthrough = bos.Some(own), bos.Some(provider), bos.Some(passthrough)
		r := bootimage.New(objects, objects, nil)
		_, err := new(bos.Template).CheckBootSet(&set, bos.OperationBoot, r.Facts(t.Context(), &set), bos.DefaultOptions())
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		target, err := r.Target(t.Context(), &bos.Template{}, &set, "4h")
		if err != nil {
			if code := bos.CodeOf(err); code != bos.CodeInvalid && code != bos.CodeNotFound && code != bos.CodeTooLarge {
				t.Errorf("%s: %v", code, err)
			}
			if text := bos.UserText(err); text == "" || !strings.Contains(err.Error(), text) {
				t.Errorf("%v is told as %q", err, text)
			}
			return
		}
		a := target.BootArtifacts
		for text, most := range map[string]int{a.Kernel.Value(): 4095, a.Initrd.Value(): 4095, a.KernelParameters.Value(): 4096} {
			if text == "" || utf8.RuneCountInString(text) > most || strings.ContainsAny(text, "\r\n\x00") || utf8.Valid(manifest) && !utf8.ValidString(text) && utf8.ValidString(own+provider+passthrough) {
				t.Errorf("%q", text)
			}
		}
		if strings.ContainsAny(a.Kernel.Value()+a.Initrd.Value(), " \t") {
			t.Errorf("blanks in %+v", a)
		}
		for _, word := range strings.Fields(a.KernelParameters.Value()) {
			if strings.HasPrefix(word, "bss_referral_token=") {
				t.Errorf("a token that is not ours in %q", a.KernelParameters.Value())
			}
		}
	})
}
