// SPDX-License-Identifier: MIT

package bootimage_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
	"bos/internal/sim"
)

// The images of a simulated site are valid, and boot.
func TestAgainstTheSite(t *testing.T) {
	s, reader := site(t)
	img, arm := s.Images()[0], s.Images()[2]
	set := bos.BootSet{
		Path: img.ManifestPath, Type: "s3", ETag: bos.Some(img.ETag),
		NodeList:         bos.Some(s.Nodes()),
		KernelParameters: bos.Some("rd.shell  debug"),
		RootfsProvider:   bos.Some("sbps"), RootfsProviderPassthrough: bos.Some("sbps:v1:iqn:_sbps:300"),
	}
	warnings, err := new(bos.Template).CheckBootSet(&set, bos.OperationBoot, reader.Facts(t.Context(), &set), bos.DefaultOptions())
	if err != nil || len(warnings) != 0 {
		t.Errorf("validation says %v, %v", warnings, err)
	}
	template := bos.Template{CFS: bos.Some(bos.CFS{Configuration: bos.Some("cfg")})}
	got, err := reader.Target(t.Context(), &template, &set, "4h")
	if err != nil {
		t.Fatal(err)
	}
	folder := strings.TrimSuffix(img.ManifestPath, "manifest.json")
	words := strings.Fields(got.BootArtifacts.KernelParameters.Value())
	root := words[len(words)-3]
	etag, _, _ := strings.Cut(strings.TrimPrefix(root, "root=sbps-s3:"+folder+"rootfs:"), ":")
	want := bos.Target{
		Configuration: "cfg",
		BootArtifacts: bos.BootArtifacts{
			Kernel: bos.Some(folder + "kernel"), Initrd: bos.Some(folder + "initrd"),
			KernelParameters: bos.Some("console=ttyS0,115200 ip=dhcp quiet crashkernel=512M image=" + img.Name + " rd.shell  debug " +
				"root=sbps-s3:" + folder + "rootfs:" + etag + ":sbps:v1:iqn:_sbps:300 nmd_data=url=" + folder + "rootfs,etag=" + etag +
				" bos_update_frequency=4h"),
		},
	}
	if got != want || len(etag) != 32 {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	set.Path = arm.ManifestPath
	if _, err := bos.CheckImageAtPut("b", &set, reader.Facts(t.Context(), &set), bos.DefaultOptions()); err == nil ||
		!strings.Contains(err.Error(), "actual IMS image arch is 'aarch64'") {
		t.Errorf("wrong architecture: %v", err)
	}
	set.Path = "s3://boot-images/no-image/manifest.json"
	facts := reader.Facts(t.Context(), &set)
	if !bos.IsNotFound(facts.ManifestErr) || !bos.IsNotFound(facts.ImageErr) || facts.Objects != nil {
		t.Errorf("no image: %+v", facts)
	}
	if _, err := reader.Target(t.Context(), &template, &set, "4h"); text(t, err) != "'"+set.Path+"' does not exist in S3" {
		t.Errorf("no image: %v", err)
	}
}

// While a service is away nothing is wrong with the image; once it is back,
// everything works.
func TestAway(t *testing.T) {
	faults := []struct {
		name    string
		service string
		fault   sim.ServiceFault
		// manifest, kernel and image are the codes of the facts, target that of
		// Target.
		manifest, kernel, image, target string
	}{
		{name: "S3 down", service: "s3", fault: sim.ServiceFault{Kind: sim.ServiceDown},
			manifest: "unavailable", kernel: "fine", image: "fine", target: "unavailable"},
		{name: "S3 busy", service: "s3", fault: sim.ServiceFault{Kind: sim.ServiceStatus, Status: http.StatusServiceUnavailable},
			manifest: "unavailable", kernel: "fine", image: "fine", target: "unavailable"},
		{name: "S3 goes away after the manifest", service: "s3", fault: sim.ServiceFault{Kind: sim.ServiceReset, Path: "boot_parameters"},
			manifest: "fine", kernel: "fine", image: "fine", target: "unavailable"},
		{name: "no access to S3", service: "s3", fault: sim.ServiceFault{Kind: sim.ServiceStatus, Status: http.StatusForbidden},
			manifest: "invalid", kernel: "fine", image: "fine", target: "invalid"},
		{name: "kernel can't be looked at", service: "s3", fault: sim.ServiceFault{Kind: sim.ServiceReset, Path: "/kernel"},
			manifest: "fine", kernel: "unavailable", image: "fine", target: "fine"},
		{name: "IMS down", service: "ims", fault: sim.ServiceFault{Kind: sim.ServiceDown},
			manifest: "fine", kernel: "fine", image: "unavailable", target: "fine"},
		{name: "IMS refuses", service: "ims", fault: sim.ServiceFault{Kind: sim.ServiceStatus, Status: http.StatusForbidden},
			manifest: "fine", kernel: "fine", image: "invalid", target: "fine"},
		{name: "IMS fails", service: "ims", fault: sim.ServiceFault{Kind: sim.ServiceStatus, Status: http.StatusInternalServerError},
			manifest: "fine", kernel: "fine", image: "unavailable", target: "fine"},
		{name: "IMS answers nonsense", service: "ims", fault: sim.ServiceFault{Kind: sim.ServiceGarbage, Body: `["x"]`},
			manifest: "fine", kernel: "fine", image: "nonsense", target: "fine"},
	}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			s, reader := site(t)
			set := bos.BootSet{Path: s.Images()[0].ManifestPath, Type: "s3"}
			s.InjectService(tt.service, tt.fault)
			facts := reader.Facts(t.Context(), &set)
			image := code(facts.ImageErr)
			if facts.Image.Nonsense {
				image = "nonsense"
			}
			_, err := reader.Target(t.Context(), &bos.Template{}, &set, "4h")
			kernel := facts.Objects[bos.ArtifactKernel]
			got := []string{code(facts.ManifestErr), code(kernel), image, code(err)}
			if diff := cmp.Diff([]string{tt.manifest, tt.kernel, tt.image, tt.target}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, err := range []error{facts.ManifestErr, kernel, facts.ImageErr, err} {
				if err != nil {
					text(t, err)
				}
			}
			s.InjectService(tt.service, sim.ServiceFault{})
			if _, err := reader.Target(t.Context(), &bos.Template{}, &set, "4h"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A caller that gives up learns nothing about the image.
func TestGivenUp(t *testing.T) {
	s, reader := site(t)
	set := bos.BootSet{Path: s.Images()[0].ManifestPath, Type: "s3"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := reader.Target(ctx, &bos.Template{}, &set, "4h")
	facts := reader.Facts(ctx, &set)
	for _, err := range []error{err, facts.ManifestErr, facts.ImageErr} {
		if !bos.IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
	}
}
