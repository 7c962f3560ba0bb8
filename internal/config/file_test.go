// SPDX-License-Identifier: MIT

package config

import (
	"bytes"
	"strings"
	"testing"
)

func TestFile(t *testing.T) {
	tests := []struct {
		name, content string
		// want is in the error; "" for none.
		want string
	}{
		{name: "empty"},
		{name: "comments", content: "# nothing\n---\n# here\n"},
		{name: "null", content: "null\n"},
		{name: "byte order mark", content: "\ufefflisten: localhost:7\n"},
		{name: "value missing", content: "listen:\nkeep: ~\noperators: null\n"},
		{name: "quoted", content: "listen: 'localhost:7'\nsimulate: \"7\"\n"},
		{name: "lists", content: "operators: [status, power-on]\netcd-endpoints:\n- a:1\n- b:2,c:3\n"},
		{name: "list as a text", content: "operators: status, power-on\n"},
		{name: "anchors", content: "listen: &a localhost:7\ndata-dir: *a\noperators: &b [x]\netcd-endpoints: *b\n"},
		{name: "looks like another type", content: "listen: 9000\ndata-dir: true\netcd-username: 2026-01-02\n"},
		{name: "unknown", content: "listen: localhost:7\nlisden: x\n", want: `"lisden" is no setting; is listen meant? (FILE, line 2)`},
		{name: "file in file", content: "config: other.yaml\n", want: `"config" is no setting`},
		{name: "merge", content: "a: &a {listen: x}\n<<: *a\n", want: `"<<" is no setting`},
		{name: "twice", content: "listen: a:1\nseed: 1\nlisten: b:2\n", want: `FILE: line 3: "listen" was set before, in line 1`},
		{name: "list in place of a value", content: "listen: [a, b]\n", want: "listen: it has one value, not a list (FILE, line 1)"},
		{name: "map in place of a value", content: "\nlisten:\n  host: a\n", want: "listen: it must be a value or a list of values (FILE, line 2)"},
		{name: "list of lists", content: "operators: [[a]]\n", want: "operators: the items of the list must be values (FILE, line 1)"},
		{name: "list of nothing", content: "operators: [~]\n", want: "operators: the items of the list must be values (FILE, line 1)"},
		{name: "binary", content: "listen: !!binary aGk=\n", want: `listen: values of the type "!!binary" are not taken (FILE, line 1)`},
		{name: "tag in a list", content: "operators: [!mine a]\n", want: `operators: values of the type "!mine" are not taken (FILE, line 1)`},
		{name: "name that is a list", content: "? [a]\n: b\n", want: "line 1: a name must be a text"},
		{name: "list", content: "- a\n", want: "line 1: it must hold names of settings and their values"},
		{name: "text", content: "hello\n", want: "line 1: it must hold names of settings and their values"},
		{name: "two documents", content: "seed: 1\n---\nseed: 2\n", want: "FILE: it must hold one YAML document only"},
		{name: "no YAML", content: "listen: [\n", want: "FILE: it is not YAML: "},
		{name: "anchor missing", content: "listen: *a\n", want: "FILE: it is not YAML: "},
		{name: "hidden secret", content: "s3-secret-key: (hidden)\n",
			want: "s3-secret-key: this is what is shown in place of the secret, not the secret (FILE, line 1)"},
		{name: "too large", content: strings.Repeat("#", maxFile+1), want: "config: read the file: FILE is larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "bos.yaml", tt.content)
			c := bound(t, []string{"--config", path})
			warnings, err := c.Load(nil)
			want := strings.ReplaceAll(tt.want, "FILE", path)
			if len(warnings) != 0 || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, %v, want %s", warnings, err, want)
			}
		})
	}
	c := bound(t, []string{"--config", "/does/not/exist"})
	if _, err := c.Load(nil); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("missing file: %v", err)
	}
}

func TestFileLists(t *testing.T) {
	c := bound(t, []string{"--config", write(t, "bos.yaml", "operators: [status, ' power-on ']\netcd-endpoints: ['a:1,b:2', '', c:3]\n")})
	if _, err := c.Load(nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Operators, "|") + " " + strings.Join(c.EtcdEndpoints, "|"); got != "status|power-on a:1|b:2|c:3" {
		t.Errorf("got %s", got)
	}
}

// Whatever is in the file, there is an answer, secrets stay out of it, and what
// was read can be written and read again.
func FuzzFile(f *testing.F) {
	f.Add("listen: localhost:1\noperators: [status]\ntime-scale: 0.5\n")
	f.Add("s3-secret-key: &a hush-hush\ns3-access-key: *a\nseed: hush-hush\n")
	f.Add("simulate: 0x10\nkeep: yes\nidle-timeout: 1h1m\n")
	f.Add("a: &a [*a]\n? {}\n: ''\n--- |\n x\n...\n%YAML 1.1\n")
	f.Add("data-dir: \"\\u2028\\ufeff\\x85#: '\"\nprefix: //a//\n")
	f.Add("<<: {listen: x}\nproxy-path: !!str 1\netcd-endpoints:\n  - http://u:p@h:1\n")
	f.Fuzz(func(t *testing.T, content string) {
		c := bound(t, []string{"--config", write(t, "bos.yaml", content)})
		if _, err := c.Load(nil); err != nil {
			return
		}
		err := c.Validate()
		var out bytes.Buffer
		if werr := c.WriteYAML(&out); werr != nil {
			t.Fatal(werr)
		}
		for _, s := range []Secret{c.S3SecretKey, c.S3AccessKey, c.EtcdPassword} {
			if len(s) > 12 && (strings.Contains(out.String(), string(s)) || err != nil && strings.Contains(err.Error(), string(s))) &&
				strings.Count(content, string(s)) == 1 {
				t.Errorf("a secret is shown:\n%s\n%v", &out, err)
			}
		}
		if err == nil {
			sameAgain(t, c)
		}
	})
}
