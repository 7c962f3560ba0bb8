// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the program against a server, as the scripts in testdata
// say. UPDATE=1 in the environment writes what it shows into them.
//
// Beside the commands of testscript there are:
//
//	bos ARGS...      runs the program; <FILE at the end is its standard input
//	exits N          checks the exit status of the last run
//	seed FILE        makes the requests of a file; site.json is always there
//	token DIR USER TEXT
//	                 puts a token for the server where the cray CLI does
//	sent             shows the requests that the server got since the last time
//
//	answer 'METHOD PATH' FILE...
//	                 makes the server answer so, in turn, and the last for ever:
//	                 .json a document, .problem an error, .events a stream
//
// TERMINAL=80 makes the output a terminal of 80 columns; ANSWER=yes
// is what someone types who is asked.
func TestScripts(t *testing.T) {
	type scriptKey struct{}
	type script struct {
		url    string
		asked  *recorder
		status int
	}
	state := func(ts *testscript.TestScript) *script {
		s, _ := ts.Value(scriptKey{}).(*script)
		return s
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			s := &script{}
			s.url, s.asked = newServer(t)
			env.Values[scriptKey{}] = s
			env.Setenv("SERVER", s.url)
			env.Setenv("BOS_URL", s.url)
			env.Setenv("HOME", env.WorkDir)
			site, err := os.ReadFile("testdata/site.json")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "site.json"), site, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"bos": func(ts *testscript.TestScript, neg bool, args []string) {
				s := state(ts)
				s.status = runScripted(ts, args)
				if (s.status == exitOK) == neg {
					ts.Fatalf("bos %s exited with %d", strings.Join(args, " "), s.status)
				}
			},
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				if got := strconv.Itoa(state(ts).status); len(args) != 1 || got != args[0] {
					ts.Fatalf("bos exited with %s", got)
				}
			},
			"seed": func(ts *testscript.TestScript, _ bool, args []string) {
				for _, file := range args {
					ts.Check(seed(state(ts).url, []byte(ts.ReadFile(file))))
				}
				state(ts).asked.take()
			},
			"token": func(ts *testscript.TestScript, _ bool, args []string) {
				host := strings.TrimPrefix(state(ts).url, "http://")
				name := strings.NewReplacer(".", "_", "-", "_").Replace(host) + "." + strings.ReplaceAll(args[1], ".", "_")
				text := []byte(`{"access_token": "` + args[2] + `", "refresh_token": "r"}`)
				ts.Check(os.WriteFile(filepath.Join(args[0], name), text, 0o600))
			},
			"answer": func(ts *testscript.TestScript, _ bool, args []string) {
				var answers []answer
				for _, file := range args[1:] {
					answers = append(answers, answerOf(ts, file))
				}
				state(ts).asked.can(args[0], answers...)
			},
			"sent": func(ts *testscript.TestScript, _ bool, _ []string) {
				_, err := io.WriteString(ts.Stdout(), state(ts).asked.take())
				ts.Check(err)
			},
		},
	})
}

// answerOf makes an answer of a file.
func answerOf(ts *testscript.TestScript, file string) answer {
	a := answer{http.StatusOK, "application/json", ts.ReadFile(file)}
	switch filepath.Ext(file) {
	case ".problem":
		var p struct{ Status int }
		ts.Check(json.Unmarshal([]byte(a.text), &p))
		a.status, a.kind = p.Status, "application/problem+json"
	case ".events":
		a.kind = "text/event-stream"
	}
	return a
}

func runScripted(ts *testscript.TestScript, args []string) int {
	sys := System{
		Args: args, Stdin: strings.NewReader(""), Stdout: ts.Stdout(), Stderr: ts.Stderr(),
		Getenv: ts.Getenv, Now: func() time.Time { return testTime },
	}
	if n := len(args); n > 0 && strings.HasPrefix(args[n-1], "<") {
		sys.Args = args[:n-1]
		sys.Stdin = strings.NewReader(ts.ReadFile(args[n-1][1:]))
	}
	// Files are named as seen from the script.
	for i, arg := range sys.Args {
		if ext := filepath.Ext(arg); (ext == ".json" || ext == ".yaml") && arg[0] != '@' {
			sys.Args[i] = ts.MkAbs(arg)
		}
	}
	if typed := ts.Getenv("ANSWER"); typed != "" {
		sys.Interactive, sys.Stdin = true, strings.NewReader(typed+"\n")
	}
	if columns := ts.Getenv("TERMINAL"); columns != "" {
		width, err := strconv.Atoi(columns)
		ts.Check(err)
		sys.Terminal, sys.Width = true, width
	}
	return Main(context.Background(), sys)
}

// runBOS runs the program without a script and returns what it wrote.
func runBOS(t *testing.T, env map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = Main(t.Context(), System{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return env[name] },
		Now:    func() time.Time { return testTime },
	})
	return status, out.String(), errs.String()
}
