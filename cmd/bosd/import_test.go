// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bos/test/redistest"
)

// password is that of the Redis here; it must be shown nowhere.
const password = "sesame-open"

// originalDocuments are what a site of the original has after some years.
func originalDocuments() map[int]map[string]string {
	const when = `"2026-01-01T00:00:00"`
	boot := `{"name":"compute","tenant":null,"description":"d","enable_cfs":true,"cfs":{"configuration":"c"},"boot_sets":{` +
		`"z":{"path":"s3://boot-images/1/manifest.json","type":"s3","node_list":["x1000c0s0b0n0"],"arch":"X86"},` +
		`"a":{"path":"s3://boot-images/2/manifest.json","type":"s3","node_groups":["g"],"arch":"ARM"}}}`
	odd := `{"name":"my boot","tenant":"","partition":"","boot_sets":{"compute":{"name":"compute","boot_ordinal":2,"path":"s3://p","type":"s3",` +
		`"etag":null,"rootfs_provider":"","kernel_parameters":"quiet\n","node_list":["X1000c0s0b0n0"]}}}`
	session := func(name, tenant, template, status, components string) string {
		return fmt.Sprintf(`{"name":%q,"tenant":%q,"operation":"reboot","template_name":%q,"limit":"","stage":false,"components":%q,`+
			`"include_disabled":false,"status":{"start_time":%s,"end_time":null,"status":%q,"error":null}}`, name, tenant, template, components, when, status)
	}
	artifacts := `{"kernel":"s3://k","kernel_parameters":"console=secret","initrd":"s3://i","timestamp":` + when + `}`
	components := map[string]string{"x2": `{"id":"x3"}`, "x8": `not JSON`}
	var members []string
	for i := range 4500 {
		id := fmt.Sprintf("x%dc0s0b0n0", 1000+i)
		members = append(members, id)
		components[id] = fmt.Sprintf(`{"id":%q,"actual_state":{"boot_artifacts":%s,"bss_token":"token-1-of-the-original","last_updated":%s},`+
			`"desired_state":{"boot_artifacts":{"kernel":"s3://k","kernel_parameters":"console=secret","initrd":"s3://i"},"configuration":"c",`+
			`"bss_token":"token-1-of-the-original","last_updated":%s},"staged_state":{},"last_action":{"last_updated":%s,"action":"powering_on","failed":false},`+
			`"event_stats":{"power_on_attempts":1,"power_off_graceful_attempts":0,"power_off_forceful_attempts":0},`+
			`"status":{"phase":"","status_override":""},"enabled":false,"error":"","session":"big","retry_policy":3}`, id, artifacts, when, when, when)
	}
	return map[int]map[string]string{
		0: {"options": `{"polling_frequency":17,"bss_read_timeout":5,"disable_components_on_completion":true}`},
		1: components,
		2: {redistest.Key("", "compute"): boot, redistest.Key("", "my boot"): odd, redistest.Key("blue", "none"): `{"name":"none","tenant":"blue","boot_sets":{}}`},
		3: {
			redistest.Key("blue", "big"):  session("big", "blue", "compute", "complete", strings.Join(members, ",")),
			redistest.Key("", "old one"):  session("old one", "", "my boot", "complete", ""),
			redistest.Key("", "not-mine"): `{"name":"not-mine","operation":"boot"}`,
		},
		4: {"token-1-of-the-original": artifacts},
		5: {redistest.Key("blue", "big"): `{"status":"complete","managed_components_count":4500,"phases":{"percent_complete":100,"percent_powering_on":0,` +
			`"percent_powering_off":0,"percent_configuring":0},"percent_staged":0,"percent_successful":99.5,"percent_failed":0.5,"error_summary":{},` +
			`"timing":{"start_time":` + when + `,"end_time":"2026-01-01T01:00:00","duration":"1:00:00"}}`},
	}
}

func TestImport(t *testing.T) {
	original := redistest.Start(t, redistest.Config{Password: password})
	original.Fill(t, originalDocuments())
	if err := original.Client(t, 1).RPush(t.Context(), "x9", "a list").Err(); err != nil {
		t.Fatal(err)
	}
	address := original.Address
	dir := t.TempDir()
	data, side, secret := filepath.Join(dir, "data"), filepath.Join(dir, "left.jsonl"), filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"import", "--from", "redis://" + address, "--password-file", secret, "--data-dir", data, "--side-file", side}
	dry := command(t, "", append(args, "--dry-run")...)
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("a dry run wrote: %v, %v", all, err)
	}
	wet := command(t, "", args...)
	report, _, _ := strings.Cut(dry, "\ndry run")
	if !strings.HasPrefix(wet, report) {
		t.Errorf("the dry run showed\n%.2000s\nand then\n%.2000s", dry, wet)
	}
	for _, want := range []string{
		"components x1000c0s0b0n0: actual_state.boot_artifacts.timestamp: dropped",
		"components x2: left out: its id is not its key", "components x8: left out: it is no JSON", "components x9: left out: its value is no text",
		`templates "my boot": name: "my boot" became "auto_renamed_my_boot"`, `sessions "old one": template_name: "my boot" became "auto_renamed_my_boot"`,
		"sessions not-mine: left out: it has no status", "templates blue/none: left out: it has 0 boot sets", "options options: bss_read_timeout: 5 became 10",
	} {
		if !strings.Contains(wet, want) {
			t.Errorf("not reported: %s", want)
		}
	}
	if strings.Contains(wet, "console=secret") || strings.Contains(wet, "token-1-of-the-original") || strings.Contains(wet, password) {
		t.Error("a secret is reported")
	}
	checkSideFile(t, side, map[string]string{"x2": `{"id":"x3"}`, "x8": `"not JSON"`, "x9": "null", redistest.Key("", "not-mine"): `{"name":"not-mine","operation":"boot"}`,
		redistest.Key("blue", "none"): `{"name":"none","tenant":"blue","boot_sets":{}}`})

	// Again, it makes no difference.
	again := command(t, "", args...)
	for _, want := range []string{"components          4503        0       4500        0", "sessions               3        0          2        0",
		"templates              3        0          2        0", "options                1        0          1        0",
		"tokens                 1        0          1        0", "session-status         1        0          1        0"} {
		if !strings.Contains(again, want) {
			t.Errorf("the second import says\n%s", again[strings.Index(again, "\nDATABASE"):])
			break
		}
	}
	checkImported(t, data, args)
	last := command(t, "", args...)
	if !strings.Contains(last, "options options: differs: what the store has is kept") {
		t.Errorf("an option that was changed since: %s", last[strings.Index(last, "\nDATABASE"):])
	}

	for _, bad := range [][]string{
		{"import", "--data-dir", data}, {"import", "--from", "http://" + address}, {"import", "--from", "redis://user:" + password + "@" + address + "/3"},
	} {
		if got := refused(t, exitUsage, bad...); strings.Contains(got, password) {
			t.Errorf("the password is shown: %s", got)
		}
	}
	if got := refused(t, exitFailed, "import", "--from", "redis://:wrong-"+password+"@"+address, "--data-dir", data); strings.Contains(got, password) || !strings.Contains(got, "redis") {
		t.Errorf("a wrong password: %s", got)
	}
}

// checkSideFile checks what was left out, by key.
func checkSideFile(t *testing.T, path string, want map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for text := range strings.Lines(string(text)) {
		var l struct {
			Database, Key, Why string
			Value              json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Why == "" || l.Database == "" {
			t.Fatalf("%q: %v", text, err)
		}
		got[l.Key] = string(l.Value)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("left out of %s: %s, not %s", key, got[key], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d documents were left out, not %d", len(got), len(want))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the side file: %v", info.Mode())
	}
}

// checkImported checks what the API answers of what was taken over, that a
// server keeps imports away, and changes an option.
func checkImported(t *testing.T, data string, args []string) {
	t.Helper()
	address, stop := serving(t, "--data-dir", data, "--operators", "none")
	defer stop()
	get := func(path string) string { return call(t, http.MethodGet, "http://"+address+"/v2/"+path, "") }
	if got := get("sessiontemplates/compute"); strings.Index(got, `"z":`) > strings.Index(got, `"a":`) {
		t.Errorf("the order of the boot sets is lost: %s", got)
	}
	if got := get("sessiontemplates/auto_renamed_my_boot"); !strings.Contains(got, "Former name: my boot") || !strings.Contains(got, "x1000c0s0b0n0") {
		t.Error(got)
	}
	if got := get("sessions/auto_renamed_old_one"); !strings.Contains(got, `"template_name":"auto_renamed_my_boot"`) {
		t.Error(got)
	}
	if got := get("components/x1000c0s0b0n0"); !strings.Contains(got, `"session":"big"`) || strings.Contains(got, "timestamp") {
		t.Error(got)
	}
	var components []struct{ ID string }
	if err := json.Unmarshal([]byte(get("components")), &components); err != nil || len(components) != 4500 {
		t.Errorf("%d components, %v", len(components), err)
	}
	var sessions []struct{ Name, Tenant, Components string }
	if err := json.Unmarshal([]byte(get("sessions")), &sessions); err != nil || len(sessions) != 2 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	if big := sessions[1]; big.Name != "big" || big.Tenant != "blue" || strings.Count(big.Components, ",") != 4499 {
		t.Errorf("the session %q of %q has %d bytes of components", big.Name, big.Tenant, len(big.Components))
	}
	if got := refused(t, exitUsage, args...); !strings.Contains(got, "stop it first") {
		t.Errorf("an import into a store that is in use: %s", got)
	}
	if got := get("options"); !strings.Contains(got, `"polling_frequency":17`) {
		t.Error(got)
	}
	call(t, http.MethodPatch, "http://"+address+"/v2/options", `{"polling_frequency":18}`)
}
