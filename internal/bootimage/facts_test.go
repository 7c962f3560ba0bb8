// SPDX-License-Identifier: MIT

package bootimage_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bootimage"
	"bos/internal/bos"
	"bos/internal/upstream/call"
)

const (
	imgPath  = "s3://boot-images/img/manifest.json"
	imgOther = "Can't validate boot image arch: "
)

// validating is an image with something wrong, and what validation says of it.
type validating struct {
	name     string
	change   func(*script, *bos.BootSet)
	opts     bos.Options
	warnings []string
	err      string
}

func (tt validating) run(t *testing.T) {
	s, set := whole(), image()
	tt.change(&s, &set)
	facts := bootimage.New(s, s, nil).Facts(t.Context(), &set)
	warnings, err := new(bos.Template).CheckBootSet(&set, bos.OperationBoot, facts, tt.opts)
	if diff := cmp.Diff(tt.warnings, warnings); diff != "" && tt.err == "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if got := errorText(err); got != tt.err {
		t.Errorf("got  %s\nwant %s", got, tt.err)
	}
}

func TestValidationOfArtifacts(t *testing.T) {
	for _, tt := range []validating{
		{name: "fine", change: func(*script, *bos.BootSet) {}},
		{name: "other type", change: func(_ *script, b *bos.BootSet) { b.Type = "ims" },
			err: "Can't find boot artifacts. Error: type 'ims' is not supported; s3 is"},
		{name: "no S3 path", change: func(s *script, b *bos.BootSet) {
			b.Path = "nowhere"
			s.errs["nowhere"] = bos.Errorf(bos.CodeInvalid, "'nowhere' is not a path of the form s3://bucket/key")
		}, err: "Can't find boot artifacts. Error: 'nowhere' is not a path of the form s3://bucket/key"},
		{name: "no manifest", change: func(s *script, _ *bos.BootSet) { delete(s.objects, imgPath) },
			err: "Can't find boot artifacts. Error: '" + imgPath + "' does not exist in S3"},
		{name: "manifest is a list", change: func(s *script, _ *bos.BootSet) { s.objects[imgPath] = "[1,2]" },
			err: "Can't find boot artifacts. Error: '" + imgPath + "': the image manifest is not a JSON object with a list of artifacts"},
		{name: "no kernel", change: func(s *script, _ *bos.BootSet) {
			s.objects[imgPath] = manifest(entries(bos.ArtifactInitrd))
		}, err: "Can't find kernel in " + imgPath + ". Error: the image manifest lists no kernel"},
		{name: "two kernels", change: func(s *script, _ *bos.BootSet) {
			s.objects[imgPath] = manifest(entries(bos.ArtifactKernel, bos.ArtifactKernel))
		}, err: "Can't find boot artifacts. Error: the image manifest lists 2 artifacts of the type kernel"},
		{name: "two root file systems", change: func(s *script, _ *bos.BootSet) {
			s.objects[imgPath] = manifest(entries(bos.ArtifactKernel, bos.ArtifactInitrd, bos.ArtifactRootfs, bos.ArtifactRootfs))
		}, err: "Can't find boot artifacts. Error: the image manifest lists 2 artifacts of the type rootfs"},
		{name: "kernel gone", change: func(s *script, _ *bos.BootSet) { delete(s.objects, "s3://boot-images/img/kernel") },
			err: "Can't find kernel in " + imgPath + ". Error: 's3://boot-images/img/kernel' does not exist in S3"},
		{name: "no initrd and no boot parameters", change: func(s *script, _ *bos.BootSet) {
			s.objects[imgPath] = manifest(entries(bos.ArtifactKernel))
		}, warnings: []string{imgPath + " doesn't contain a initrd"}},
		{name: "initrd and boot parameters gone", change: func(s *script, _ *bos.BootSet) {
			delete(s.objects, "s3://boot-images/img/initrd")
			delete(s.objects, "s3://boot-images/img/boot_parameters")
		}, warnings: []string{"Unable to check initrd in " + imgPath + ". Warning: 's3://boot-images/img/initrd' does not exist in S3"}},
		{name: "boot parameters too large", change: func(s *script, _ *bos.BootSet) {
			s.sizes["s3://boot-images/img/boot_parameters"] = bos.MaxManifest + 1
		}, warnings: []string{"Unable to check boot_parameters in " + imgPath +
			". Warning: 's3://boot-images/img/boot_parameters' is larger than 1048576 bytes"}},
		{name: "initrd can't be looked at", change: func(s *script, _ *bos.BootSet) {
			s.errs["s3://boot-images/img/initrd"] = bos.Unavailable("s3", errors.New("inside"))
		}, warnings: []string{"Unable to check initrd in " + imgPath + ". Warning: 's3://boot-images/img/initrd': s3 is not available"}},
		{name: "no reason", change: func(s *script, _ *bos.BootSet) {
			s.errs["s3://boot-images/img/initrd"] = errors.New("inside")
		}, warnings: []string{"Unable to check initrd in " + imgPath +
			". Warning: 's3://boot-images/img/initrd': s3 could not be asked; the service's log says more"}},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestValidationOfRecord(t *testing.T) {
	forbidden := &call.Error{Service: "ims", Kind: call.Refused, Status: 403, Words: "Forbidden"}
	nonsense := call.Garbage(200, errors.New("a list"))
	for _, tt := range []validating{
		{name: "not IMS's", change: func(s *script, b *bos.BootSet) {
			s.objects["s3://boot-images/manifest.json"], b.Path = s.objects[imgPath], "s3://boot-images/manifest.json"
			s.imsErr = errors.New("asked")
		}, warnings: []string{"Boot artifact S3 URL 's3://boot-images/manifest.json' doesn't follow convention for IMS images"}},
		{name: "IMS refuses", change: func(s *script, _ *bos.BootSet) { s.imsErr = forbidden },
			warnings: []string{imgOther + "ims refused: Forbidden"}},
		{name: "IMS refuses, fatal", change: func(s *script, _ *bos.BootSet) { s.imsErr = forbidden },
			opts: bos.Options{IMSErrorsFatal: true}, err: "ims refused: Forbidden"},
		{name: "nonsense", change: func(s *script, _ *bos.BootSet) { s.imsErr = nonsense },
			warnings: []string{"IMS's answer for the image 'img' is no image record"}},
		{name: "nonsense, fatal", change: func(s *script, _ *bos.BootSet) { s.imsErr = nonsense },
			opts: bos.Options{IMSErrorsFatal: true}, err: "IMS's answer for the image 'img' is no image record"},
		{name: "nonsense that nobody needs", change: func(s *script, b *bos.BootSet) {
			s.imsErr, b.Arch = nonsense, bos.Some(bos.ArchOther)
		}, opts: bos.Options{IMSErrorsFatal: true}, warnings: []string{imgOther + "Boot set arch set to 'Other'"}},
	} {
		t.Run(tt.name, tt.run)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSiteWithoutIMS(t *testing.T) {
	set := image()
	set.Arch = bos.Some(bos.ArchOther)
	facts := bootimage.New(whole(), nil, nil).Facts(t.Context(), &set)
	warnings, err := new(bos.Template).CheckBootSet(&set, bos.OperationBoot, facts, bos.Options{IMSErrorsFatal: true, IMSImagesMustExist: true})
	if err != nil || len(warnings) != 0 {
		t.Errorf("%v, %v", warnings, err)
	}
}

// Another ETag is worth a line in the log, and no more.
func TestETags(t *testing.T) {
	s, set := whole(), image()
	s.etags[imgPath] = `"manifest-1"`
	set.ETag = bos.Some(`"manifest-1"`)
	var log logged
	reader := bootimage.New(s, s, log.logger())
	reader.Facts(t.Context(), &set)
	if _, err := reader.Target(t.Context(), &bos.Template{}, &set, "4h"); err != nil || log.Len() != 0 {
		t.Fatalf("nothing to say, but %v and %s", err, &log)
	}
	set.ETag = bos.Some("manifest-2")
	s.etags["s3://boot-images/img/kernel"] = "rebuilt"
	facts := reader.Facts(t.Context(), &set)
	if warnings, err := new(bos.Template).CheckBootSet(&set, bos.OperationBoot, facts, bos.Options{}); err != nil || len(warnings) != 0 {
		t.Errorf("%v, %v", warnings, err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	slices.Sort(lines)
	for i, want := range []string{
		`"path":"s3://boot-images/img/kernel","expected_by":"manifest","expected":"etag-of-kernel","found":"rebuilt"`,
		`"path":"` + imgPath + `","expected_by":"boot set","expected":"manifest-2","found":"manifest-1"`,
	} {
		if len(lines) != 2 || !strings.Contains(lines[i], want) {
			t.Errorf("%s is not in %q", want, lines)
		}
	}
}
