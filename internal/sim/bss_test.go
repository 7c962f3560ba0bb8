// SPDX-License-Identifier: MIT

package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const referral = "Bss-Referral-Token"

// script returns the boot script of a node.
func (b *bench) script(query string) answer {
	b.t.Helper()
	return b.call("GET", b.URLs().BSS+"/bootscript?"+query, nil)
}

func params(extra string, hosts ...string) map[string]any {
	return map[string]any{"hosts": hosts, "params": extra, "kernel": "http://k/kernel", "initrd": "http://k/initrd"}
}

func TestBSSTokens(t *testing.T) {
	b := newBench(t, Config{TimeScale: 0.001})
	url := b.URLs().BSS + "/bootparameters"
	one := b.call("PUT", url, params("quiet", first, second))
	two := b.call("PUT", url, params("quiet", first, second))
	token := two.header.Get(referral)
	if one.status != 200 || len(one.body) != 0 || len(token) != 36 || token == one.header.Get(referral) {
		t.Errorf("%d %q, tokens %q and %q", one.status, one.body, one.header.Get(referral), token)
	}
	for _, query := range []string{"name=" + second, "nid=2", "mac=B4:2E:99:00:00:01"} {
		a := b.script(query)
		for _, text := range []string{
			"#!ipxe\nkernel --name kernel http://k/kernel initrd=initrd quiet xname=" + second + " nid=2 bss_referral_token=" + token +
				" ds=nocloud-net;s=10.92.100.81:8888/ || goto boot_retry\n",
			"initrd --name initrd http://k/initrd || goto boot_retry\nimgstat ||",
			"chain https://api-gw-service-nmn.local/apis/bss/boot/v1/bootscript?mac=b4:2e:99:00:00:01&retry=1",
		} {
			if !strings.Contains(string(a.body), text) {
				t.Errorf("%s: %q is not in\n%s", query, text, a.body)
			}
		}
	}
	if a := b.call("GET", url+"?name="+first, nil); strings.Contains(string(a.body), token) || a.field(t, 0, "hosts", 0) != first {
		t.Errorf("parameters: %s", a.body)
	}
	b.call("PATCH", url, map[string]any{"hosts": []string{first}, "params": "patched=1"})
	if a := b.script("name=" + first); !strings.Contains(string(a.body), "patched=1 xname="+first+" nid=1 bss_referral_token="+token) {
		t.Errorf("after PATCH:\n%s", a.body)
	}
	b.call("PUT", url, params("quiet bss_referral_token=mine xname=foo", first))
	if a := b.script("name=" + first); !strings.Contains(string(a.body), "quiet bss_referral_token=mine xname=foo nid=1 ds=") {
		t.Errorf("own token:\n%s", a.body)
	}
	b.noViolations()
}

func TestBSSParameters(t *testing.T) {
	b := newBench(t, Config{TimeScale: 0.001})
	base := b.URLs().BSS
	check(t, b, base, []want{
		{"nothing yet", "GET", "/bootparameters", nil, 200, []string{"null"}, nil},
		{"no match", "GET", "/bootparameters?name=" + first, nil, 404, []string{"Cannot find boot parameters for requested Hosts"}, nil},
		{"bad nid", "GET", "/bootparameters?nid=abc", nil, 400, []string{"Bad Request - Invalid nid 'abc'"}, nil},
		{"no body", "PUT", "/bootparameters", nil, 400, []string{"Bad Request: EOF"}, nil},
		{"cut", "PUT", "/bootparameters", "{", 400, []string{"Bad Request: unexpected EOF"}, nil},
		{"string", "PUT", "/bootparameters", `{"hosts":"x"}`, 400, []string{"cannot unmarshal string into Go struct field BootParams.hosts"}, nil},
		{"unknown field", "PUT", "/bootparameters", `{"hosts":["` + first + `"],"bogus":1,"params":"p","kernel":"http://k"}`, 200, nil, nil},
		{"wipe", "PUT", "/bootparameters", `{"hosts":["` + first + `"]}`, 200, nil, nil},
		{"wiped", "GET", "/bootparameters?name=" + first, nil, 200, []string{`[{"hosts":["` + first + `"],"cloud-init"`}, []string{"kernel"}},
		{"by MAC", "PUT", "/bootparameters", `{"macs":["b4:2e:99:00:00:02"],"params":"bymac","kernel":"http://k"}`, 200, nil, nil},
		{"by NID", "PUT", "/bootparameters", `{"nids":[4],"params":"bynid","kernel":"http://k"}`, 200, nil, nil},
		{"MAC found", "GET", "/bootparameters?name=" + third, nil, 200, []string{"bymac"}, nil},
		{"NID found", "GET", "/bootparameters?nid=4", nil, 200, []string{"bynid", "x1000c0s0b1n1"}, nil},
		{"create", "POST", "/bootparameters", params("x", second), 201, nil, nil},
		{"create again", "POST", "/bootparameters", params("x", "x1000c0s1b0n0", second), 400, []string{"Bad Request: Already exists: " + second}, nil},
		{"not stored", "GET", "/bootparameters?name=x1000c0s1b0n0", nil, 404, nil, nil},
		{"patch unknown", "PATCH", "/bootparameters", params("x", nowhere), 404, []string{"Error looking up " + nowhere}, nil},
		{"delete", "DELETE", "/bootparameters", params("", second), 200, nil, nil},
		{"delete again", "DELETE", "/bootparameters", params("", second), 400, []string{"does not exist"}, nil},
		{"empty", "PUT", "/bootparameters", "{}", 200, nil, nil},
		{"other path", "GET", "/nope", nil, 200, []string{"Hello World!"}, nil},
		{"method", "OPTIONS", "/bootparameters", nil, 405, []string{"allow GET,PUT,POST,PATCH,DELETE"}, nil},
		{"hosts", "POST", "/hosts", nil, 204, nil, nil},
		{"no script", "GET", "/bootscript?name=x1000c0s2b0n0", nil, 200, []string{"#!ipxe\nsleep 10\nchain ", "name=x1000c0s2b0n0&arch=${buildarch}"}, nil},
		{"no script for arch", "GET", "/bootscript?mac=00:00:00:00:00:01&arch=x86", nil, 404, []string{"this host not configured for booting."}, nil},
		{"no question", "GET", "/bootscript", nil, 400, []string{"Need a mac=, name=, or nid= parameter"}, nil},
		{"history", "GET", "/endpoint-history?name=x9c0s0b0n0&endpoint=bootscript", nil, 200, []string{`"last_epoch":0`}, nil},
		{"no history", "GET", "/endpoint-history?name=x9c0s0b0n0", nil, 200, []string{"[]"}, nil},
		{"history of all", "GET", "/endpoint-history?endpoint=bootscript", nil, 500, nil, nil},
	})
	b.noViolations()
	b.script("name=" + third)
	if a := b.call("GET", base+"/endpoint-history", nil); a.field(t, 0, "name") != third {
		t.Errorf("history: %s", a.body)
	}
	if a := b.call("PUT", base+"/bootparameters", params(strings.Repeat("x", maxParams+1), first)); a.status != 500 || len(a.body) < maxParams {
		t.Errorf("1.5 MB of parameters: %d, %d bytes", a.status, len(a.body))
	}
	if a := b.call("PUT", base+"/bootparameters", params("x", "X1000C0S3B0N0", "Compute")); a.status != 200 {
		t.Errorf("odd names: %d", a.status)
	}
	if a := b.script("name=x1000c0s2b0n0"); !strings.Contains(string(a.body), "initrd=initrd x xname=x1000c0s2b0n0") {
		t.Errorf("parameters of the role:\n%s", a.body)
	}
	if got := b.rules(); got[RuleMalformedName] != 2 || got[RuleTooBig] != 1 {
		t.Errorf("violations: %v", got)
	}
}

func TestBSSGlobalParameters(t *testing.T) {
	b := newBench(t, Config{TimeScale: 0.001})
	url := b.URLs().BSS + "/bootparameters"
	b.call("PUT", url, params("quiet", first))
	if a := b.call("PUT", url, map[string]any{"hosts": []string{}, "kernel": "http://k/kernel", "params": "everywhere=1"}); a.status != 200 || a.header.Get(referral) != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := b.script("name=" + first); !strings.Contains(string(a.body), "initrd=initrd quiet everywhere=1 xname=") {
		t.Errorf("script:\n%s", a.body)
	}
	if a := b.call("GET", url, nil); !strings.Contains(string(a.body), `{"params":"everywhere=1","kernel":"http://k/kernel","cloud-init"`) {
		t.Errorf("all: %s", a.body)
	}
	if got := b.rules(); got[RuleEmptyList] != 1 {
		t.Errorf("violations: %v", got)
	}
}

func TestBSSCommandLines(t *testing.T) {
	b := newBench(t, Config{TimeScale: 0.001})
	s3 := b.URLs().S3Endpoint
	for in, out := range map[string]string{
		"nmd_data=url=s3://b/initrd-dir/rootfs,etag=abc quiet": "initrd=initrd nmd_data=url=s3://b/ quiet xname=",
		"quiet initrd=foo":                    "initrd=initrd quiet  xname=",
		"xnames=5 ds=none":                    "initrd=initrd xnames=5 ds=none xname=",
		"a=1\n  b=2":                          "initrd=initrd a=1\n  b=2 xname=",
		"root=live:s3://b/r other=s3://b/o x": "other=s3://b/o x xname=",
		"root=live:s3://b/r":                  "root=live:http://" + s3 + "/b/r?X-Amz-Algorithm=",
	} {
		b.call("PUT", b.URLs().BSS+"/bootparameters", params(in, first))
		if a := b.script("name=" + first); !strings.Contains(string(a.body), out) {
			t.Errorf("%q became\n%s", in, a.body)
		}
	}
	b.call("PUT", b.URLs().BSS+"/bootparameters", params("spire_join_token=${SPIRE_JOIN_TOKEN}", first))
	if one, two := b.script("name="+first), b.script("name="+first); string(one.body) == string(two.body) || strings.Contains(string(one.body), "SPIRE") {
		t.Errorf("join token:\n%s", one.body)
	}
	b.putParams("t", first)
	if a := b.script("name=" + first); !strings.Contains(string(a.body), "kernel --name kernel http://"+s3+"/boot-images/") {
		t.Errorf("script:\n%s", a.body)
	}
}

func TestBSSOpenCHAMI(t *testing.T) {
	b := newBench(t, Config{Flavour: OpenCHAMI, TimeScale: 0.001})
	check(t, b, b.URLs().BSS, []want{
		{"empty", "PUT", "/bootparameters", "{}", 400, []string{"No data"}, nil},
		{"hosts only", "PUT", "/bootparameters", `{"hosts":["` + first + `"]}`, 400, []string{"No data"}, nil},
		{"bad MAC", "PUT", "/bootparameters", `{"macs":["zz"],"params":"x"}`, 400, []string{"invalid MAC address format: zz"}, nil},
		{"put", "PUT", "/bootparameters", params("quiet", first, second), 200, nil, nil},
		{"shared", "GET", "/bootparameters", nil, 200, []string{`"hosts":["` + first + `","` + second + `"]`}, nil},
		{"script", "GET", "/bootscript?name=" + first, nil, 200, []string{"quiet xname=" + first + " nid=1 ds="}, []string{"bss_referral_token", "imgstat"}},
		{"bootif", "GET", "/bootscript?mac=b4:2e:99:00:00:00", nil, 200, []string{"BOOTIF=01-b4-2e-99-00-00-00"}, nil},
		{"other path", "GET", "/nope", nil, 404, nil, nil},
		{"history", "GET", "/endpoint-history?name=x9c0s0b0n0&endpoint=bootscript", nil, 200, []string{"[]"}, nil},
		{"part is new", "POST", "/bootparameters", params("x", first, third), 201, nil, nil},
	})
	if a := b.call("PUT", b.URLs().BSS+"/bootparameters", map[string]any{"hosts": []string{}, "kernel": "k"}); len(a.header.Get(referral)) != 36 {
		t.Errorf("no hosts: %v", a.header)
	}
}

func TestBSSKnowsOnlyMACs(t *testing.T) {
	b := newBench(t, Config{Flavour: OpenCHAMI, BSSByMAC: true, TimeScale: 0.001})
	url := b.URLs().BSS + "/bootparameters"
	b.call("PUT", url, params("byhost", first))
	if a := b.script("mac=b4:2e:99:00:00:00"); !strings.Contains(string(a.body), "sleep 10") {
		t.Errorf("hosts only:\n%s", a.body)
	}
	both := params("both", first)
	both["macs"] = []string{"B4:2E:99:00:00:00"}
	b.call("PUT", url, both)
	if a := b.script("mac=b4:2e:99:00:00:00"); !strings.Contains(string(a.body), "both xname="+first) {
		t.Errorf("hosts and macs:\n%s", a.body)
	}
}

// TestBSSFinishesWithoutItsClient measures the pace of a large write and that it
// goes on when the client leaves.
func TestBSSFinishesWithoutItsClient(t *testing.T) {
	hosts := make([]string, 5000)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("x2000c0s0b0n%d", i)
	}
	leave := func(t *testing.T, b *bench) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := b.try(ctx, "PUT", b.URLs().BSS+"/bootparameters", params("x", hosts...))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
	}
	stored := func(b *bench, i int) bool {
		return b.call("GET", b.URLs().BSS+"/bootparameters?name="+hosts[i], nil).status == 200
	}
	inVirtualTime(t, Config{}, func(t *testing.T, b *bench) {
		leave(t, b)
		if !stored(b, 0) || stored(b, 2500) {
			t.Error("not half way after 0.5 s")
		}
		time.Sleep(5800 * time.Millisecond)
		if stored(b, 4999) {
			t.Error("done before 6.5 s")
		}
		time.Sleep(300 * time.Millisecond)
		if !stored(b, 4999) {
			t.Error("not done after 6.5 s")
		}
	})
	inVirtualTime(t, Config{BSSStopsWithClient: true}, func(t *testing.T, b *bench) {
		leave(t, b)
		time.Sleep(10 * time.Second)
		if stored(b, 4999) {
			t.Error("carried on")
		}
	})
}
