// SPDX-License-Identifier: MIT

package front

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// bulkBody is a list of components with everything that set-up writes.
func bulkBody(n int) []byte {
	const (
		image      = "s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/"
		parameters = "console=ttyS0,115200 bad_page=panic crashkernel=512M hugepagelist=2m-2g intel_iommu=off " +
			"intel_pstate=disable iommu.passthrough=on numa_interleave_omit=headless oops=panic pageblock_order=14 " +
			"rd.neednet=1 rd.retry=10 rd.shell systemd.unified_cgroup_hierarchy=1 ip=hsn0:dhcp spire_join_token=x " +
			"root=sbps-s3:s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/rootfs nmd_data=url=s3://boot-images/rootfs"
	)
	artifacts := fmt.Sprintf(`{"kernel":%q,"kernel_parameters":%q,"initrd":%q}`, image+"kernel", parameters, image+"initrd")
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"id":"x%dc%ds%db0n%d","enabled":true,"session":"boot-compute-1","error":"","retry_policy":3,`+
			`"desired_state":{"boot_artifacts":%s,"configuration":"compute-25.11"},"last_action":{"action":"session_setup","failed":false},`+
			`"event_stats":{"power_on_attempts":0,"power_off_graceful_attempts":0,"power_off_forceful_attempts":0},`+
			`"status":{"phase":"powering_on","status_override":""}}`, 1000+i/256, i/32%8, i/4%8, i%4, artifacts)
	}
	return []byte("[" + b.String()[1:] + "]")
}

// oneBody is what a node reports.
const oneBody = `{"id":"x3000c0s1b0n0","actual_state":{"bss_token":"b1fb8a0f-2c5a-4c6f-8c55-1a4ad1f0b2f1"}}`

func BenchmarkBulk(b *testing.B) { benchmarkBody(b, "put_v2_components", bulkBody(1000)) }

func BenchmarkReport(b *testing.B) { benchmarkBody(b, "patch_v2_component", []byte(oneBody)) }

// benchmarkBody measures the check of a body, and the oracle's for comparison:
// it needs a tree of values first.
func benchmarkBody(b *testing.B, id string, body []byte) {
	o, schema := operation(b, id), newOracle(b).bodies[id]
	b.Run("front", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := o.Body("application/json", body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("oracle", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			var value any
			if err := json.Unmarshal(body, &value); err != nil {
				b.Fatal(err)
			}
			if err := schema.VisitJSON(value, openapi3.VisitAsRequest()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSecondLook measures bodies that are not good at the first check.
func BenchmarkSecondLook(b *testing.B) {
	o := operation(b, "put_v2_components")
	good := string(bulkBody(1000))
	for name, body := range map[string]string{
		"repeated": strings.TrimSuffix(good, "}]") + `,"enabled":false}]`,
		"wrong":    strings.TrimSuffix(good, "}]") + `,"foo":false}]`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := o.Body("", []byte(body)); (err == nil) != (name == "repeated") {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParams(b *testing.B) {
	o := operation(b, "get_v2_components")
	header := tenant("blue")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Params(nil, "session=boot-compute-1&enabled=true&page_size=1000", header); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	text := document(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(text); err != nil {
			b.Fatal(err)
		}
	}
}
