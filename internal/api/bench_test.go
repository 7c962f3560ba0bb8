// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"bos/internal/store/etcd"
)

// benchFleet is how many components the benchmarks store.
const benchFleet = 10000

// benchSite runs an API over a durable store with a fleet in it.
func benchSite(b *testing.B) *site {
	b.Helper()
	engine, err := etcd.OpenEmbedded(b.Context(), etcd.Embedded{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	s := startOver(b, engine, func(c *Config) { c.Log = slog.New(slog.DiscardHandler) })
	for from := 0; from < benchFleet; from += 1000 {
		if r := s.do("PUT", "/v2/components", benchList(from, 1000, "none")); r.status != http.StatusOK {
			b.Fatal(r.status, string(r.body))
		}
	}
	return s
}

func benchID(i int) string {
	return fmt.Sprintf("x%dc%ds%db%dn%d", 1000+i/256, i/32%8, i/4%8, i/2%2, i%2)
}

// benchList is the body of a PUT of components as set-up and a boot leave them.
func benchList(from, count int, fault string) string {
	parameters := strings.Repeat("console=ttyS0,115200 crashkernel=512M rd.neednet=1 ip=dhcp quiet ", 10)
	const image = "s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/"
	artifacts := fmt.Sprintf(`{"kernel":%q,"kernel_parameters":%q,"initrd":%q}`, image+"kernel", parameters, image+"initrd")
	var out strings.Builder
	for i := from; i < from+count; i++ {
		session := "others"
		if i%10 == 0 {
			session = "tenth"
		}
		fmt.Fprintf(&out, `,{"id":%q,"enabled":false,"error":%q,"session":%q,"retry_policy":3,`+
			`"actual_state":{"boot_artifacts":%s,"bss_token":"8d1b7f6e-2c34-4f5a-9b0d-6a7c8e9f0a1b"},`+
			`"desired_state":{"boot_artifacts":%s,"configuration":"compute-25.11","bss_token":"8d1b7f6e-2c34-4f5a-9b0d-6a7c8e9f0a1b"},`+
			`"staged_state":{},"last_action":{"action":"powering_on","failed":false},`+
			`"event_stats":{"power_on_attempts":1,"power_off_graceful_attempts":0,"power_off_forceful_attempts":0},`+
			`"status":{"phase":"","status_override":""}}`, benchID(i), fault, session, artifacts, artifacts)
	}
	return "[" + out.String()[1:] + "]"
}

func benchCall(b *testing.B, s *site, method, path, body string) {
	b.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(b.Context(), method, s.url+path, in)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	res, err := s.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		b.Fatal(res.StatusCode, n, err)
	}
}

// BenchmarkAPI measures whole requests over a connection, a durable store behind
// them.
func BenchmarkAPI(b *testing.B) {
	s := benchSite(b)
	for name, path := range map[string]string{
		"List":        "/v2/components",
		"ListSession": "/v2/components?session=tenth",
		"ListNone":    "/v2/components?enabled=true&status=power_on_pending",
		"GetOne":      "/v2/components/" + benchID(7),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				benchCall(b, s, "GET", path, "")
			}
		})
	}
	var round atomic.Int64
	var ids bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&ids, ",%s", benchID(i))
	}
	b.Run("PatchBulk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			benchCall(b, s, "PATCH", "/v2/components", fmt.Sprintf(`{"patch":{"error":"%d"},"filters":{"ids":%q}}`, round.Add(1), ids.String()[1:]))
		}
	})
	b.Run("PutBulk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			benchCall(b, s, "PUT", "/v2/components", benchList(0, 1000, fmt.Sprint(round.Add(1))))
		}
	})
	b.Run("PatchSingle", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				n := round.Add(1)
				benchCall(b, s, "PATCH", "/v2/components/"+benchID(int(n%benchFleet)), fmt.Sprintf(`{"error":"%d"}`, n))
			}
		})
	})
}
