// SPDX-License-Identifier: MIT

package front

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"bos/internal/bos"
)

// nodes is a list of n nodes.
func nodes(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(`"x1",`, n), ",") + "]"
}

// bootSet is a template with one boot set that has more fields.
func bootSet(more string) string {
	return `{"boot_sets":{"compute":{"path":"p","type":"s3"` + more + `}}}`
}

func quoted(text string, n int) string { return `"` + strings.Repeat(text, n) + `"` }

func TestTemplates(t *testing.T) {
	put, patch := operation(t, "put_v2_sessiontemplate"), operation(t, "patch_v2_sessiontemplate")
	for _, body := range []string{
		goodTemplate,
		bootSet(`,"name":"compute","etag":"","kernel_parameters":"","cfs":{},"arch":"Other","rootfs_provider":"x"`),
		bootSet(`,"rootfs_provider_passthrough":"","node_roles_groups":["Compute"],"node_groups":["g"]`),
		bootSet(`,"kernel_parameters":` + quoted("k", 4096) + `,"etag":` + quoted("e", 65536)),
		bootSet(`,"cfs":{"configuration":` + quoted("c", 127) + `}`),
		bootSet(`,"node_list":` + nodes(65535)),
		`{"description":` + quoted("é", 1023) + `,"enable_cfs":false,"cfs":{"configuration":""},"boot_sets":{"-bad ☃":{"path":"p","type":"t"}}}`,
	} {
		accepts(t, put, body)
		accepts(t, patch, body)
	}
	accepts(t, patch, `{}`)
	for body, want := range map[string]string{
		`[]`:                                                    "request body: must be an object, not an array",
		`{"boot_sets":{}}`:                                      "boot_sets: must not be empty",
		`{"boot_sets":[]}`:                                      "boot_sets: must be an object, not an array",
		`{"boot_sets":{"a":null}}`:                              "boot_sets.a: must be an object, not null",
		`{"boot_sets":{"a b":{}}}`:                              `boot_sets."a b".path: a value is required; boot_sets."a b".type: a value is required`,
		`{"boot_sets":{"":5}}`:                                  `boot_sets."": must be an object, not a number`,
		bootSet(`,"name":"-x"`):                                 `boot_sets.compute.name: must consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`,
		bootSet(`,"name":"x\n"`):                                `boot_sets.compute.name: must consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`,
		bootSet(`,"foo":1`):                                     "boot_sets.compute.foo: no such field",
		bootSet(`,"Arch":"X86"`):                                "boot_sets.compute.Arch: no such field",
		bootSet(`,"arch":"x86"`):                                "boot_sets.compute.arch: must be one of X86, ARM, Other, Unknown",
		bootSet(`,"cfs":{"a":{}}`):                              "boot_sets.compute.cfs.a: no such field",
		bootSet(`,"node_list":[]`):                              "boot_sets.compute.node_list: must not be empty",
		bootSet(`,"node_list":"x"`):                             "boot_sets.compute.node_list: must be an array, not a string",
		bootSet(`,"node_list":["x1",""]`):                       "boot_sets.compute.node_list.1: must not be empty",
		bootSet(`,"node_list":[null]`):                          "boot_sets.compute.node_list.0: must be a string, not null",
		bootSet(`,"node_list":` + nodes(65536)):                 "boot_sets.compute.node_list: must have at most 65535 items, not 65536",
		bootSet(`,"node_roles_groups":` + nodes(1024)):          "boot_sets.compute.node_roles_groups: must have at most 1023 items, not 1024",
		bootSet(`,"node_groups":` + nodes(4096)):                "boot_sets.compute.node_groups: must have at most 4095 items, not 4096",
		bootSet(`,"kernel_parameters":"a\nb"`):                  "boot_sets.compute.kernel_parameters: must not have line breaks",
		bootSet(`,"kernel_parameters":"a\u000d"`):               "boot_sets.compute.kernel_parameters: must not have line breaks",
		bootSet(`,"kernel_parameters":` + quoted("k", 4097)):    "boot_sets.compute.kernel_parameters: must have at most 4096 characters, not 4097",
		bootSet(`,"etag":` + quoted("e", 65537)):                "boot_sets.compute.etag: must have at most 65536 characters, not 65537",
		bootSet(`,"rootfs_provider":""`):                        "boot_sets.compute.rootfs_provider: must not be empty",
		`{"boot_sets":{"a":{"path":5,"type":true}}}`:            "boot_sets.a.path: must be a string, not a number; boot_sets.a.type: must be a string, not a boolean",
		bootSet("")[:len(bootSet(""))-1] + `,"description":""}`: "description: must not be empty",
	} {
		refuses(t, put, body, want)
		refuses(t, patch, body, want)
	}
	refuses(t, put, `{}`, "boot_sets: a value is required")
	for _, field := range []string{`"name":"t1"`, `"name":5`, `"tenant":null`, `"tenant":"x"`, `"links":[{"x":"a"}]`} {
		name := strings.Split(field, `"`)[1]
		refuses(t, put, goodTemplate[:len(goodTemplate)-1]+","+field+"}", name+": is read-only")
		refuses(t, patch, "{"+field+"}", name+": no such field")
	}
}

func TestBootSetCount(t *testing.T) {
	sets := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"b%d":{"path":"p","type":"s3"}`, i)
		}
		return `{"boot_sets":{` + b.String()[1:] + "}}"
	}
	o := operation(t, "put_v2_sessiontemplate")
	accepts(t, o, sets(127))
	refuses(t, o, sets(128), "boot_sets: must have at most 127 members, not 128")
}

func TestSessions(t *testing.T) {
	post, patch := operation(t, "post_v2_session"), operation(t, "patch_v2_session")
	with := func(more string) string { return goodSession[:len(goodSession)-1] + more + "}" }
	for _, body := range []string{
		goodSession,
		with(`,"name":"s1","limit":null,"stage":true,"include_disabled":false`),
		with(`,"limit":""`), with(`,"limit":` + quoted("x", 524288)), with(`,"limit":` + quoted("😀", 524288)),
		with(`,"limit":` + quoted(`\ud83d\ude00`, 524288)),
		`{"operation":"sh\u0075tdown","template_name":` + quoted("t", 127) + `}`,
	} {
		accepts(t, post, body)
	}
	for body, want := range map[string]string{
		`{}`: "operation: a value is required; template_name: a value is required",
		`{"operation":"Boot","template_name":"t"}`:       "operation: must be one of boot, reboot, shutdown",
		`{"operation":null,"template_name":"t\n"}`:       `operation: must be a string, not null; template_name: must consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`,
		with(`,"name":null`):                             "name: must be a string, not null",
		with(`,"name":` + quoted("x", 128)):              "name: must have at most 127 characters, not 128",
		with(`,"stage":1`):                               "stage: must be true or false, not a number",
		with(`,"limit":[]`):                              "limit: must be a string or null, not an array",
		with(`,"limit":` + quoted("é", 524289)):          "limit: must have at most 524288 characters, not 524289",
		with(`,"tenant":"x"`):                            "tenant: no such field",
		with(`,"a":1,"b":2,"c":3,"d":4,"e":5,"f":6`):     "a: no such field; b: no such field; c: no such field; d: no such field; e: no such field",
		`{"a":{"b":[{}]},"operation":"","stage":"true"}`: "a: no such field; operation: must be one of boot, reboot, shutdown; stage: must be true or false, not a string; template_name: a value is required",
	} {
		refuses(t, post, body, want)
	}
	for _, body := range []string{
		`{}`, `{"components":"","status":{}}`, `{"components":` + quoted("x", 524288) + `}`,
		`{"status":{"start_time":"2026-01-01","end_time":null,"status":"complete","error":null}}`,
	} {
		accepts(t, patch, body)
	}
	for body, want := range map[string]string{
		`{"components":null}`:                             "components: must be a string, not null",
		`{"name":"s"}`:                                    "name: no such field",
		`{"status":{"start_time":null}}`:                  "status.start_time: must be a string, not null",
		`{"status":{"status":"failed"}}`:                  "status.status: must be one of pending, running, complete",
		`{"status":{"error":5,"x":[1,2]}}`:                "status.error: must be a string or null, not a number; status.x: no such field",
		`{"status":{"error":` + quoted("e", 65537) + `}}`: "status.error: must have at most 65536 characters, not 65537",
	} {
		refuses(t, patch, body, want)
	}
}

func TestComponents(t *testing.T) {
	one, list := operation(t, "patch_v2_component"), operation(t, "put_v2_components")
	for _, body := range []string{
		`{"id":"any thing!","enabled":true,"error":"","session":"","retry_policy":0}`,
		`{"actual_state":{"boot_artifacts":{"kernel":"","kernel_parameters":"","initrd":""},"bss_token":""}}`,
		`{"desired_state":{"boot_artifacts":{},"configuration":"","bss_token":"t"},"staged_state":{"session":""}}`,
		`{"last_action":{"action":"newly_discovered","failed":false},"event_stats":{"power_on_attempts":1048576}}`,
		`{"status":{"phase":"","status_override":"anything"}}`, `{"status":{}}`,
		`{"error":` + quoted("e", 65536) + `,"id":` + quoted("é", 127) + `}`,
	} {
		accepts(t, one, body)
	}
	for body, want := range map[string]string{
		`{}`:                                     "request body: must not be empty",
		`{"foo":1}`:                              "foo: no such field",
		`{"id":""}`:                              "id: must not be empty",
		`{"id":` + quoted("é", 128) + "}":        "id: must have at most 127 characters, not 128",
		`{"enabled":null}`:                       "enabled: must be true or false, not null",
		`{"retry_policy":3.0}`:                   "retry_policy: must be an integer in decimal digits",
		`{"retry_policy":1e2}`:                   "retry_policy: must be an integer in decimal digits",
		`{"retry_policy":true}`:                  "retry_policy: must be an integer, not a boolean",
		`{"retry_policy":-1}`:                    "retry_policy: must be between 0 and 1048576",
		`{"retry_policy":99999999999999999999}`:  "retry_policy: must be between 0 and 1048576",
		`{"retry_policy":-99999999999999999999}`: "retry_policy: must be between 0 and 1048576",
		`{"session":"-x"}`:                       `session: must be empty, or consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`,
		`{"status":{"phase":"x"}}`:               "status.phase: must be empty or one of configuring, powering_off, powering_on",
		`{"status":{"status":"stable"}}`:         "status.status: is read-only",
		`{"actual_state":{"last_updated":""}}`:   "actual_state.last_updated: is read-only",
		`{"last_action":{"last_updated":null}}`:  "last_action.last_updated: is read-only",
		`{"last_action":{"action":""}}`:          "last_action.action: must be one of actual_state_cleanup, apply_staged, newly_discovered, powering_off_forcefully, powering_off_gracefully, powering_on, session_setup",
		`{"actual_state":{"configuration":"c"}}`: "actual_state.configuration: no such field",
		`{"desired_state":{"boot_artifacts":{"kernel_parameters":"a\n"}}}`: "desired_state.boot_artifacts.kernel_parameters: must not have line breaks",
	} {
		refuses(t, one, body, want)
		id := strings.Replace(body, "{", `{"id":"x1",`, 1)
		if body != `{}` && !strings.Contains(body, `"id"`) {
			refuses(t, list, "["+id+"]", "0."+want)
		}
	}
	accepts(t, list, `[]`)
	accepts(t, list, `[{"id":"a"},{"id":"a","enabled":true}]`)
	refuses(t, list, `[{"id":"a"},{"enabled":1},5]`,
		"1.enabled: must be true or false, not a number; 1.id: a value is required; 2: must be an object, not a number")
	refuses(t, list, `{"patch":{},"filters":{}}`, "request body: must be an array, not an object")
}

func TestComponentsUpdate(t *testing.T) {
	o := operation(t, "patch_v2_components")
	const exactlyOne = "filters: exactly one of ids and session must be given"
	filtered := func(filters string) string { return `{"patch":{"enabled":true},"filters":` + filters + "}" }
	for _, body := range []string{
		`[]`, `[{"id":"a"}]`, filtered(`{"ids":"a,b"}`), filtered(`{"session":"s1"}`),
		filtered(`{"ids":"a","session":""}`), filtered(`{"ids":"a","session":null}`),
		filtered(`{"ids":"","session":"s1"}`), filtered(`{"ids":null,"session":"s1"}`),
		filtered(`{"ids":` + quoted("x", 65535) + `}`),
	} {
		accepts(t, o, body)
	}
	for body, want := range map[string]string{
		`5`:               "request body: must be an array of components, or an object with patch and filters",
		`"x"`:             "request body: must be an array of components, or an object with patch and filters",
		`{}`:              "patch: a value is required; filters: a value is required",
		`[5]`:             "0: must be an object, not a number",
		`[{"error":"x"}]`: "0.id: a value is required",
		`{"patch":{"a":1},"filters":{"ids":"a"}}`:              "patch.a: no such field",
		`{"patch":{},"filters":{"ids":"a"}}`:                   "patch: must not be empty",
		filtered(`{}`):                                         exactlyOne,
		filtered(`{"ids":"a","session":"s1"}`):                 exactlyOne,
		filtered(`{"ids":"","session":""}`):                    exactlyOne,
		filtered(`{"ids":null,"session":null}`):                exactlyOne,
		filtered(`{"session":""}`):                             exactlyOne,
		filtered(`{"session":null}`):                           exactlyOne,
		filtered(`{"ids":5}`):                                  "filters.ids: must be a string, not a number",
		filtered(`{"session":"-x"}`):                           `filters.session: must consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`,
		filtered(`{"ids":"a","foo":1}`):                        "filters.foo: no such field",
		filtered(`{"foo":1}`):                                  "filters.foo: no such field",
		filtered(`{"ids":` + quoted("x", 65536) + `}`):         "filters.ids: must have at most 65535 characters, not 65536",
		filtered(`[]`):                                         "filters: must be an object, not an array",
		filtered(`{"ids":NaN}`):                                "filters.ids: must be a string, not NaN or Infinity, which are not JSON",
		`{"patch":{"id":1,"error":2,"a":3,"b":4,"c":5,"d":6}}`: "patch.id: must be a string, not a number; patch.error: must be a string, not a number; patch.a: no such field; patch.b: no such field; patch.c: no such field",
	} {
		refuses(t, o, body, want)
	}
	accepts(t, o, filtered(`{"ids":"a","ids":"","session":"s1"}`), filtered(`{"ids":"","session":"s1"}`))
}

// Of alternatives that overlap exactly one must be right, as the oracle sees it.
func TestOverlappingAlternatives(t *testing.T) {
	f, err := Load([]byte(strings.ReplaceAll(tinyDocument, "{$ref: '#/components/schemas/A'}", `
              oneOf:
                - {type: string, minLength: 2}
                - {type: string, maxLength: 3}
                - {type: integer, maximum: 9}`)))
	if err != nil {
		t.Fatal(err)
	}
	o := f.Operation("a")
	for _, body := range []string{`"a"`, `"abcd"`, `9`} {
		accepts(t, o, body)
	}
	for body, want := range map[string]string{
		`"ab"`: "request body: must match exactly one of its alternatives",
		`10`:   "request body: must match exactly one of its alternatives",
		`null`: "request body: must match exactly one of its alternatives",
	} {
		refuses(t, o, body, want)
	}
}

func TestApplyStaged(t *testing.T) {
	o := operation(t, "post_v2_apply_staged")
	accepts(t, o, `{}`)
	accepts(t, o, `{"xnames":[]}`)
	accepts(t, o, `{"xnames":`+nodes(32768)+`}`)
	refuses(t, o, `{"xnames":`+nodes(32769)+`}`, "xnames: must have at most 32768 items, not 32769")
	refuses(t, o, `{"xnames":[""]}`, "xnames.0: must not be empty")
	refuses(t, o, `{"xnames":null}`, "xnames: must be an array, not null")
}

func TestOptions(t *testing.T) {
	o := operation(t, "patch_v2_options")
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, body := range []string{
		many(1024), `{"foo":null}`, `{"foo":[{"a":[1.5e3,null,true,"x"]}],"clear_stage":true}`,
		`{"cleanup_completed_session_ttl":"0"}`, `{"cleanup_completed_session_ttl":"0w"}`,
		`{"cleanup_completed_session_ttl":"1234567D"}`, `{"component_actual_state_ttl":"2W"}`,
		`{"logging_level":"cRitical"}`, `{"bss_read_timeout":86400,"polling_frequency":-0}`,
		`{"Clear_stage":"an option that nobody knows"}`,
	} {
		accepts(t, o, body)
	}
	for body, want := range map[string]string{
		`{}`:                                           "request body: must not be empty",
		many(1025):                                     "request body: must have at most 1024 members, not 1025",
		`{"bss_read_timeout":9}`:                       "bss_read_timeout: must be between 10 and 86400",
		`{"bss_read_timeout":"10"}`:                    "bss_read_timeout: must be an integer, not a string",
		`{"clear_stage":"true"}`:                       "clear_stage: must be true or false, not a string",
		`{"component_actual_state_ttl":"4h\n"}`:        "component_actual_state_ttl: must be a number without leading zeros and one of h, d, w, such as 4h or 2d",
		`{"component_actual_state_ttl":"4"}`:           "component_actual_state_ttl: must have at least 2 characters, not 1",
		`{"cleanup_completed_session_ttl":"07d"}`:      "cleanup_completed_session_ttl: must be 0, or a number without leading zeros and one of m, h, d, w, such as 3m or 10d",
		`{"logging_level":"INFO\n"}`:                   "logging_level: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
		`{"polling_frequency":5,"hsm_read_timeout":0}`: "hsm_read_timeout: must be between 10 and 86400",
	} {
		refuses(t, o, body, want)
	}
}

// A message repeats at most 80 characters of what the client chose, and nothing
// that would disturb a terminal or a log.
func TestMessagesAreShort(t *testing.T) {
	long := strings.Repeat("é", 5000)
	for _, c := range []struct{ operation, body, want string }{
		{"put_v2_component", `{"` + long + `":1}`, `"` + strings.Repeat("é", 79) + `…": no such field`},
		{"put_v2_component", `{"` + strings.Repeat("a", 80) + `":1}`, strings.Repeat("a", 80) + ": no such field"},
		{"put_v2_component", `{"a\n\u001b[31m\u202e":1}`, `"a\n\x1b[31m\u202e": no such field`},
		{
			"put_v2_sessiontemplate", `{"boot_sets":{"` + long + `":{"path":"p","type":"s3","` + long + `":1}}}`,
			`boot_sets."` + strings.Repeat("é", 39) + `…"."` + strings.Repeat("é", 39) + `…": no such field`,
		},
		{"post_v2_session", `{"operation":"` + long + `","template_name":"t"}`, "operation: must be one of boot, reboot, shutdown"},
	} {
		refuses(t, operation(t, c.operation), c.body, c.want)
		_, err := operation(t, c.operation).Body("", []byte(c.body))
		if message := wantCode(t, err, bos.CodeInvalid); !utf8.ValidString(message) {
			t.Errorf("%q", message)
		}
	}
}
