// SPDX-License-Identifier: MIT

package compare_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bos/test/conformance/compare"
)

// judge asks the recorder's own driver about answers, one JSON object a line,
// and says for each whether it is as expected.
const judge = `
import json, sys
sys.path.insert(0, sys.argv[1])
import drive
for line in sys.stdin:
    q = json.loads(line)
    raw = q["raw"].encode("utf-8", "surrogatepass")
    diffs, _ = drive.compare(q["want"], q["status"], q["media"], raw, "http://bos", False, q["order"], None, True, False, q["method"])
    print(json.dumps(diffs[:3]))
`

// question is about one answer.
type question struct {
	Want   any    `json:"want"`
	Status int    `json:"status"`
	Media  string `json:"media"`
	Raw    string `json:"raw"`
	Method string `json:"method"`
	Order  any    `json:"order"`
	// where says what it is about.
	where string
	order compare.Order
}

// questions are about the recorded answers and every change of them.
func questions(t *testing.T) []question {
	t.Helper()
	files, err := filepath.Glob("../testdata/scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	var out []question
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Steps []struct {
				Name, Method string
				Expect, Ours json.RawMessage
			}
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps {
			for _, part := range []json.RawMessage{step.Expect, step.Ours} {
				if len(part) == 0 || len(part) > 2048 {
					continue
				}
				want, _ := decode(t, string(part)).(map[string]any)
				if want["status"] == nil {
					continue
				}
				out = append(out, asked(t, file+" "+step.Name, step.Method, want)...)
			}
		}
	}
	return out
}

func asked(t *testing.T, where, method string, want map[string]any) []question {
	t.Helper()
	status, err := want["status"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	media, _ := want["content_type"].(string)
	q := question{Want: want, Status: int(status), Media: media, Method: method, Order: true, where: where, order: compare.Named}
	if method == "PATCH" {
		q.Order, q.order = "all", compare.Any
	}
	say := func(v any) string {
		if v == nil {
			return ""
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	v, leaves := sample(want["body"], "body")
	q.Raw = say(v)
	other := q
	other.Status = 404
	out := []question{q, other}
	other = q
	other.Media = "text/plain"
	out = append(out, other)
	other = q
	other.Raw += " x"
	out = append(out, other)
	for i := range leaves {
		v, leaves := sample(want["body"], "body")
		leaves[i].change(v)
		other = q
		other.Raw, other.where = say(v), where+" "+leaves[i].path
		out = append(out, other)
	}
	return out
}

// The rules here are those of the recorder's own driver.
func TestAgainstOriginalDriver(t *testing.T) {
	dir := os.Getenv("BOS_CONFORM_DIR")
	if dir == "" {
		t.Skip("BOS_CONFORM_DIR does not name the folder of the recorder's driver")
	}
	all := questions(t)
	var in bytes.Buffer
	e := json.NewEncoder(&in)
	for _, q := range all {
		if err := e.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", judge, dir)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	faults := 0
	for _, q := range all {
		if !lines.Scan() {
			t.Fatalf("the driver said nothing about %s", q.where)
		}
		var theirs []string
		if err := json.Unmarshal(lines.Bytes(), &theirs); err != nil {
			t.Fatal(err)
		}
		want, _ := q.Want.(map[string]any)
		expect := compare.Expect{Status: q.Status, Body: want["body"]}
		expect.ContentType, _ = want["content_type"].(string)
		status, _ := want["status"].(json.Number).Int64()
		expect.Status = int(status)
		ours := compare.Rules{Base: "http://bos", Order: q.order}.Answer(q.Method, expect,
			compare.Answer{Status: q.Status, ContentType: q.Media, Body: []byte(q.Raw)}, nil)
		if (len(ours) > 0) != (len(theirs) > 0) {
			t.Errorf("%s: %d %.300s\nours   %v\ntheirs %v", q.where, q.Status, q.Raw, ours, theirs)
		}
		if len(theirs) > 0 {
			faults++
		}
	}
	t.Logf("%d answers, %d of them with differences", len(all), faults)
	if faults < 5000 || len(all)-faults < 500 {
		t.Errorf("only %d answers, %d of them with differences", len(all), faults)
	}
}
