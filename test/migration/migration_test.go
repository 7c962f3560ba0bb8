// SPDX-License-Identifier: MIT

// Package migration takes a service over in the midst of its work: what a Redis
// of the original holds while a reboot is half done and another session waits is
// imported, and a server goes on from there.
package migration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"bos/internal/sim"
	"bos/internal/store"
	"bos/test/redistest"
	"bos/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

const (
	nodes     = 16
	timeScale = 0.05
)

// world is a site, and what is in its Redis.
type world struct {
	t             *testing.T
	site          *sim.Site
	half, waiting []string
	begun         time.Time
	dump          map[int]map[string]string
}

// halfDone carries a reboot out until its nodes are told to go off, and keeps
// what is known of everything at that moment, in the form of the original: its
// API shows documents as it stores them. Another session is pending.
func halfDone(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, site: rig.Site(t, sim.Config{Nodes: nodes, TimeScale: timeScale, PoweredOn: true}), begun: time.Now()}
	w.half, w.waiting = w.site.Nodes()[:nodes/2], w.site.Nodes()[nodes/2:]
	address := rig.Address(t)
	args, environ := rig.SiteArgs(w.site)
	p := rig.New(t, "former", environ, append([]string{"serve", "--listen", address, "--data-dir", t.TempDir()}, args...)...)
	a := rig.NewAPI(t, address)
	w.site.SetBOS("http://"+address, nil)
	p.Start()
	a.Ready(0)
	a.Until(time.Minute, "the nodes are discovered", func() error {
		var found []any
		if a.Get("/v2/components", &found); len(found) < nodes {
			return fmt.Errorf("%d of %d", len(found), nodes)
		}
		return nil
	})
	for i, members := range [][]string{w.half, w.waiting} {
		a.Do(http.MethodPut, "/v2/sessiontemplates/"+[]string{"half", "waiting"}[i], map[string]any{
			"cfs":       map[string]any{"configuration": "configuration"},
			"boot_sets": map[string]any{"all": map[string]any{"type": "s3", "path": w.site.Images()[0].ManifestPath, "node_list": members}},
		})
	}
	a.Do(http.MethodPost, "/v2/sessions", map[string]any{"name": "half", "operation": "reboot", "template_name": "half"})
	a.Until(time.Minute, "the nodes are told to go off", func() error {
		var found []struct {
			LastAction struct{ Action string } `json:"last_action"`
		}
		a.Get("/v2/components?session=half", &found)
		told := 0
		for _, c := range found {
			if c.LastAction.Action == "powering_off_gracefully" {
				told++
			}
		}
		if told < len(w.half) {
			return fmt.Errorf("%d of %d", told, len(w.half))
		}
		return nil
	})
	p.Kill()
	// From here on it only says what it knows.
	*p.Args() = append(*p.Args(), "--operators", "none")
	p.Start()
	a.Ready(0)
	w.keep(a, p)
	p.Kill()
	a.Until(time.Minute, "PCS has done what it was told", w.settled)
	return w
}

// settled reports whether PCS has carried out all that it was told: a node that it
// is still about can't be told anything else.
func (w *world) settled() error {
	answer, err := http.Get(w.site.URLs().PCS + "/transitions")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var list struct {
		Transitions []struct {
			Status string `json:"transitionStatus"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil || len(list.Transitions) == 0 {
		return fmt.Errorf("%d transitions, %w", len(list.Transitions), err)
	}
	for _, tr := range list.Transitions {
		if tr.Status != "completed" {
			return fmt.Errorf("one is %s", tr.Status)
		}
	}
	return nil
}

// keep makes the content of the six databases.
func (w *world) keep(a *rig.API, p *rig.Process) {
	w.t.Helper()
	w.dump = map[int]map[string]string{0: {}, 1: {}, 2: {}, 3: {}, 4: {}, 5: {}}
	type document = map[string]any
	put := func(db int, key string, doc any) {
		text, err := json.Marshal(doc)
		if err != nil {
			w.t.Fatal(err)
		}
		w.dump[db][key] = string(text)
	}
	var options document
	a.Get("/v2/options", &options)
	put(0, "options", options)
	for db, path := range map[int]string{1: "components", 2: "sessiontemplates", 3: "sessions"} {
		var all []document
		a.Get("/v2/"+path, &all)
		for _, doc := range all {
			if db == 1 {
				// Computed, and not stored.
				if status, ok := doc["status"].(document); ok {
					delete(status, "status")
				}
				put(db, fmt.Sprint(doc["id"]), doc)
				continue
			}
			put(db, redistest.Key("", fmt.Sprint(doc["name"])), doc)
		}
	}
	put(3, redistest.Key("", "waits"), document{
		"name": "waits", "operation": "reboot", "template_name": "waiting", "limit": "", "stage": false, "components": "", "include_disabled": false,
		"status": document{"start_time": time.Now().UTC().Format("2006-01-02T15:04:05"), "end_time": nil, "status": "pending", "error": nil},
	})
	// What stands for artifacts where nodes report is in no answer of the API.
	for line := range strings.Lines(rig.Command(w.t, nil, "backup", "--data-dir", p.DataDir())) {
		var doc struct {
			Key   string
			Value []byte
		}
		name, found := "", false
		if err := json.Unmarshal([]byte(line), &doc); err == nil {
			name, found = strings.CutPrefix(doc.Key, store.PrefixTokens)
		}
		if !found {
			continue
		}
		var token struct {
			BootArtifacts document `json:"boot_artifacts"`
		}
		if err := json.Unmarshal(doc.Value, &token); err != nil {
			w.t.Fatal(err)
		}
		token.BootArtifacts["timestamp"] = time.Now().UTC().Format("2006-01-02T15:04:05")
		put(4, name, token.BootArtifacts)
	}
}

// carriesOn starts a server on what was imported and waits until both sessions
// are complete: each node was sent each command once, by whichever service.
func (w *world) carriesOn(storeArgs ...string) {
	w.t.Helper()
	address := rig.Address(w.t)
	args, environ := rig.SiteArgs(w.site)
	p := rig.New(w.t, "successor", environ, append(append([]string{"serve", "--listen", address}, storeArgs...), args...)...)
	a := rig.NewAPI(w.t, address)
	w.site.SetBOS("http://"+address, nil)
	p.Start()
	a.Ready(0)
	a.Until(3*time.Minute, "both sessions are complete", func() error {
		for _, name := range []string{"half", "waits"} {
			var s struct {
				Status struct{ Status, Error string }
			}
			if a.Get("/v2/sessions/"+name, &s); s.Status.Status != "complete" || s.Status.Error != "" {
				return fmt.Errorf("%s: %+v", name, s.Status)
			}
		}
		return nil
	})
	for name, members := range map[string][]string{"half": w.half, "waits": w.waiting} {
		var status struct {
			Successful float64 `json:"percent_successful"`
			Count      int     `json:"managed_components_count"`
		}
		if a.Get("/v2/sessions/"+name+"/status", &status); status.Successful != 100 || status.Count != len(members) {
			w.t.Errorf("session %s: %+v", name, status)
		}
	}
	sent := map[string]int{}
	for _, call := range w.site.Log() {
		if call.Operation == "" || call.Time.Before(w.begun) || call.Status >= http.StatusBadRequest {
			continue
		}
		for _, node := range call.Nodes {
			sent[node+" "+call.Operation]++
		}
	}
	for _, node := range w.site.Nodes() {
		if state, _ := w.site.Node(node); !state.Up || state.Kernel == "" {
			w.t.Errorf("%s is not up: %+v", node, state)
		}
		for _, operation := range []string{"Soft-Off", "On"} {
			if n := sent[node+" "+operation]; n != 1 {
				w.t.Errorf("%s was sent %s %d times", node, operation, n)
			}
		}
	}
	for _, v := range w.site.Violations() {
		w.t.Errorf("%s %s: %s", v.Rule, v.Node, v.Detail)
	}
	p.Stop()
}

// A reboot whose nodes were told to go off is carried on, and a session that
// waited is set up.
func TestImportCarriesOn(t *testing.T) {
	r := redistest.Start(t, redistest.Config{})
	w := halfDone(t)
	r.Fill(t, w.dump)
	dir := t.TempDir()
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "left.jsonl")
	rig.Command(t, nil, "import", "--from", r.URL(), "--data-dir", data, "--side-file", side)
	if _, err := os.Stat(side); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was left out: %v", err)
	}
	w.carriesOn("--data-dir", data)
}

// The same over TLS, with a password, into an etcd outside; one on which a server
// works is refused.
func TestImportOutside(t *testing.T) {
	const password = "open-sesame"
	r := redistest.Start(t, redistest.Config{TLS: true, Password: password})
	w := halfDone(t)
	r.Fill(t, w.dump)
	dir := t.TempDir()
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoints := []string{"--etcd-endpoints", etcd(t)}
	side := filepath.Join(dir, "left.jsonl")
	untrusted := append([]string{"import", "--from", r.URL(), "--password-file", secret}, endpoints...)
	trusted := append(slices.Clone(untrusted), "--ca-file", r.CAFile)
	if _, errs, err := rig.TryCommand(nil, untrusted...); err == nil || !strings.Contains(errs, "certificate") {
		t.Errorf("a Redis whose certificate nobody trusts: %v, %s", err, errs)
	}
	rig.Command(t, nil, append(slices.Clone(trusted), "--side-file", side)...)
	w.carriesOn(endpoints...)

	address := rig.Address(t)
	args, environ := rig.SiteArgs(nil)
	p := rig.New(t, "working", environ, append(append([]string{"serve", "--operators", "none", "--listen", address}, endpoints...), args...)...)
	p.Start()
	rig.NewAPI(t, address).Ready(0)
	if _, errs, err := rig.TryCommand(nil, trusted...); err == nil || !strings.Contains(errs, "a server works on the store") {
		t.Errorf("an import into a store in use: %v, %s", err, errs)
	}
	p.Stop()
	again := rig.Command(t, nil, append(slices.Clone(trusted), "--side-file", side)...)
	if !strings.Contains(again, "templates              2        0          2        0        0         0") {
		t.Error(again)
	}
}

// etcd starts an etcd that has nothing to do with BOS.
func etcd(t *testing.T) (endpoint string) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = t.TempDir(), "fatal", true
	client, peer := url.URL{Scheme: "http", Host: rig.Address(t)}, url.URL{Scheme: "http", Host: rig.Address(t)}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-server.Server.ReadyNotify():
	case <-ctx.Done():
		t.Fatal("etcd is not ready")
	}
	return client.String()
}
