// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// output keeps what a process writes, and tells when there is more.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// after waits for a text and returns the word that follows it.
func (o *output) after(t *testing.T, text string) string {
	t.Helper()
	for {
		if _, rest, ok := strings.Cut(o.String(), text); ok && strings.ContainsAny(rest, " \n") {
			return strings.Fields(rest)[0]
		}
		select {
		case <-o.more:
		case <-t.Context().Done():
			t.Fatalf("%q was not said: %s", text, o)
		case <-time.After(time.Minute):
			t.Fatalf("%q was not said in a minute: %s", text, o)
		}
	}
}

// guarded is a bosd that asks for tokens, in a process of its own.
type guarded struct {
	t      *testing.T
	dir    string
	key    *ecdsa.PrivateKey
	c      *exec.Cmd
	url    string
	stderr *output
	stdout *output
	// said is everything that it said to anybody but what was asked for.
	said map[string]string
}

// The secrets that the process is given. Each begins with hush.
const (
	hush      = "hush"
	s3Access  = "hush-access"
	s3Secret  = "hush-secret"
	svcToken  = "hush-services"
	etcdWord  = "hush-etcd"
	kernel    = "console=ttyS0 spire_join_token=hush-join"
	bssToken  = "hush-bss"
	wrongWord = "hush-wrong"
)

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, dir: t.TempDir(), stderr: newOutput(), stdout: newOutput(), said: map[string]string{}}
	var err error
	if g.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: g.key.Public(), KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Nobody answers at these addresses: failures are what tells too much.
	const nowhere = "http://127.0.0.1:1"
	g.c = exec.CommandContext(t.Context(), self, "serve", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(g.dir, "data"),
		"--auth", "jwt", "--auth-issuers", "https://idp", "--auth-keys", g.file("keys.json", string(set)), "--audit", filepath.Join(g.dir, "audit"),
		"--token-file", g.file("token", svcToken), "--hsm-url", nowhere, "--pcs-url", nowhere, "--bss-url", nowhere, "--cfs-url", nowhere,
		"--ims-url", nowhere, "--tapms-url", nowhere, "--s3-gateway", "127.0.0.1:1")
	g.c.Env = append(os.Environ(), asProgram+"=1", "S3_ACCESS_KEY="+s3Access, "S3_SECRET_KEY="+s3Secret,
		"BOS_ETCD_USERNAME=bos", "BOS_ETCD_PASSWORD="+etcdWord)
	g.c.Stdout, g.c.Stderr = g.stdout, g.stderr
	if err := g.c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.c.Process.Kill(); _ = g.c.Wait() })
	g.url = "http://" + g.stderr.after(t, "the API is served\" address=")
	return g
}

func (g *guarded) file(name, text string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// token makes a token of an admin.
func (g *guarded) token(expires time.Time) string {
	g.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: g.key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://idp", "aud": "shasta", "sub": "root", "exp": expires.Unix(),
		"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{"admin"}}},
	}).Serialize()
	if err != nil {
		g.t.Fatal(err)
	}
	return text
}

// ask sends a request, and keeps the header of the answer; its body if it is no
// success.
func (g *guarded) ask(token, method, path, body string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	name := fmt.Sprintf("answer %d to %s %s", len(g.said), method, path)
	g.said[name] = fmt.Sprint(res.Header)
	if res.StatusCode >= 300 || path == "/metrics" {
		g.said[name] += string(text)
	}
	return res.StatusCode, string(text)
}

// No secret that the process was given, and no token, kernel parameter or
// password that a client sent, is in anything that it says: log at level debug,
// standard output, metrics, problems, the audit trail, the list of processes and
// the output of bosd config.
func TestSecretsAreKept(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	good, expired := g.token(time.Now().Add(time.Hour)), g.token(time.Now().Add(-time.Hour))
	wants := func(status, got int, text string) {
		t.Helper()
		if got != status {
			t.Errorf("status %d, want %d: %s", got, status, text)
		}
	}
	request := func(status int, token, method, path, body string) {
		t.Helper()
		got, text := g.ask(token, method, path, body)
		wants(status, got, text)
	}
	set := func(parameters string) string {
		return `{"boot_sets":{"c":{"type":"s3","path":"s3://b/i/m.json","node_list":["x1c0s0b0n0"],"kernel_parameters":"` + parameters + `"}}}`
	}
	component := `{"enabled":false,"actual_state":{"bss_token":"` + bssToken + `","boot_artifacts":{"kernel_parameters":"` + kernel + `"}}}`
	request(200, good, "PATCH", "/v2/options", `{"logging_level":"DEBUG"}`)
	g.stderr.after(t, "log level changed\" level=")
	request(200, good, "PUT", "/v2/components/x1c0s0b0n0", component)
	request(200, good, "PUT", "/v2/sessiontemplates/t", set(kernel))
	request(400, good, "PUT", "/v2/sessiontemplates/t", set(kernel+`\n`))
	request(400, good, "PUT", "/v2/sessiontemplates/t", set(strings.Repeat(kernel, 200)))
	request(400, good, "PUT", "/v2/components/x1c0s0b0n0", strings.Replace(component, `"enabled":false`, `"enabled":"`+kernel+`"`, 1))
	request(400, good, "PUT", "/v2/components/x1c0s0b0n0", component+`"`+kernel)
	request(200, good, "GET", "/v2/sessiontemplatesvalid/t", "")
	request(400, good, "POST", "/v2/sessions", `{"operation":"boot","template_name":"t"}`)
	request(401, expired, "GET", "/v2/options", "")
	request(401, wrongWord, "DELETE", "/v2/sessions", "")
	request(401, good+"x", "GET", "/v2/components?session="+bssToken, "")
	request(404, good, "GET", "/v2/nothing", "")
	request(200, good, "GET", "/metrics", "")

	// Whoever rotates the files of logs renames the trail and sends SIGHUP.
	audit := filepath.Join(g.dir, "audit")
	if err := os.Rename(audit, audit+".1"); err != nil {
		t.Fatal(err)
	}
	if err := g.c.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	g.stderr.after(t, "the audit trail was opened anew\" path=")
	request(204, good, "DELETE", "/v2/components/x1c0s0b0n0", "")

	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", g.c.Process.Pid)); err != nil || len(text) == 0 {
		t.Errorf("the list of processes: %v", err)
	} else {
		g.said["list of processes"] = string(text)
	}
	if err := g.c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := g.c.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	for name, want := range map[string]string{audit + ".1": `"operation":"put_v2_sessiontemplate"`, audit: `"operation":"delete_v2_component"`} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s: %s, %v", name, want, text, err)
		}
		g.said[name] = string(text)
	}
	g.said["log"], g.said["standard output"] = g.stderr.String(), g.stdout.String()
	status, stdout, stderr := bosd(t.Context(), g.c.Env, "config", "--token-file", filepath.Join(g.dir, "token"))
	if status != exitOK {
		t.Errorf("config: %s", stderr)
	}
	g.said["configuration"], g.said["its warnings"] = stdout, stderr

	if !strings.Contains(g.said["log"], "level=DEBUG") || !strings.Contains(g.said["log"], "operation=put_v2_component") {
		t.Errorf("the log is not at level debug: %s", g.said["log"])
	}
	signature := good[strings.LastIndexByte(good, '.')+1:]
	for where, text := range g.said {
		for _, secret := range []string{hush, good[:40], signature, expired[strings.LastIndexByte(expired, '.')+1:]} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s shows %q: …%s…", where, secret, text[max(0, at-100):min(len(text), at+100)])
			}
		}
	}
}

// A secret in the arguments is there for all to see; it is used, and warned of.
func TestSecretInArguments(t *testing.T) {
	status, stdout, stderr := bosd(t.Context(), nil, "config", "--s3-access-key", s3Access, "--s3-secret-key", s3Secret)
	if status != exitOK || strings.Contains(stdout+stderr, hush) || strings.Count(stderr, "holds a secret, and others on this host can see arguments") != 2 {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}
