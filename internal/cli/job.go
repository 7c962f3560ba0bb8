// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bos/internal/bos"
	"bos/internal/client"

	"github.com/spf13/cobra"
)

const (
	// jobFolder is where a Job has its session template.
	jobFolder = "/mnt/boot_session"
	// maxName bounds the names of sessions and templates.
	maxName = 127
)

const jobHelp = `Make a session, wait for it and end as its nodes did: what a Kubernetes Job runs. Settings
come from the environment, so that a manifest has no arguments:

  OPERATION         boot, reboot or shutdown
  TEMPLATE_NAME     session template to use; without it the one in the folder is
  LIMIT             only these of the template's nodes
  STAGE             true prepares the session on its nodes
  INCLUDE_DISABLED  true includes nodes that are disabled in the hardware state manager
  NAMESPACE         namespace of the Job
  RUN               name of the Job
  RUN_UID           uid of the Job, which tells two Jobs of one name apart

The session is named after NAMESPACE, RUN and RUN_UID. A pod that is started again, or a Job
that is applied again, finds its session and goes on waiting for it. A template in the folder
is stored under its name and a digest of what is in it, and is not changed any more.

The exit status is 0 if every node made it, 3 if some did, 4 if none did, 2 if the server
refused, and 1 if it could not be reached: the only one that is worth another try.`

// jobSettings is what a Job is to do.
type jobSettings struct {
	operation, template, limit string
	stage, includeDisabled     bool
	folder, session            string
}

func (a *app) jobCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use: "job", Short: "Make a session and wait for it, as a Kubernetes Job", Long: jobHelp, Args: none,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			settings, err := a.jobSettings(folder)
			if err != nil {
				return misused(err)
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			if err := a.jobSession(cmd.Context(), bos, settings); err != nil {
				return err
			}
			return a.await(cmd, bos, settings.session)
		}),
	}
	cmd.Flags().StringVar(&folder, "folder", jobFolder, "folder with the session template, one file in JSON or YAML")
	return cmd
}

// jobSettings reads what a Job is to do from the environment.
func (a *app) jobSettings(folder string) (jobSettings, error) {
	s := jobSettings{template: a.sys.Getenv("TEMPLATE_NAME"), folder: folder}
	var err error
	if s.operation, err = operationName(a.sys.Getenv("OPERATION")); err != nil {
		return s, fmt.Errorf("OPERATION: %w", err)
	}
	if s.limit, err = expandLimit(a.sys.Getenv("LIMIT")); err != nil {
		return s, fmt.Errorf("LIMIT: %w", err)
	}
	for name, to := range map[string]*bool{"STAGE": &s.stage, "INCLUDE_DISABLED": &s.includeDisabled} {
		text := a.sys.Getenv(name)
		if text == "" {
			continue
		}
		var b boolean
		if err := b.Set(text); err != nil {
			return s, fmt.Errorf("%s %w, not %q", name, err, text)
		}
		*to = bool(b)
	}
	run := a.sys.Getenv("RUN")
	if run == "" {
		return s, errors.New("the run has no name: RUN must be the name of the Job, as the label batch.kubernetes.io/job-name has it")
	}
	s.session = runSession(a.sys.Getenv("NAMESPACE"), run, a.sys.Getenv("RUN_UID"))
	return s, nil
}

// runSession is the name of the session of a run. The same run always has the
// same one.
func runSession(namespace, run, uid string) string {
	uid, _, _ = strings.Cut(uid, "-")
	var parts []string
	for _, part := range []string{namespace, run, uid} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	name := strings.Join(parts, "-")
	if len(name) <= maxName {
		return name
	}
	return withDigest(name, []byte(name))
}

// withDigest makes a name that tells apart what is in a document.
func withDigest(name string, content []byte) string {
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:5])
	return strings.TrimRight(name[:min(len(name), maxName-1-len(digest))], "-._") + "-" + digest
}

// jobSession makes the session of a run, unless it is there already.
func (a *app) jobSession(ctx context.Context, bos *client.Client, s jobSettings) error {
	if s.template == "" {
		var err error
		if s.template, err = a.jobTemplate(ctx, bos, s.folder); err != nil {
			return err
		}
	}
	body := objectTree()
	body.put("operation", stringTree(s.operation))
	body.put("template_name", stringTree(s.template))
	body.put("name", stringTree(s.session))
	if s.limit != "" {
		body.put("limit", stringTree(s.limit))
	}
	body.put("stage", boolTree(s.stage))
	body.put("include_disabled", boolTree(s.includeDisabled))
	_, err := bos.CreateSession(ctx, body.JSON())
	var problem *client.Problem
	if err == nil || !errors.As(err, &problem) || problem.Status != http.StatusConflict {
		return err
	}
	raw, err := bos.Session(ctx, s.session)
	if err != nil {
		return err
	}
	there, err := client.Decode[struct {
		Operation       string  `json:"operation"`
		Template        string  `json:"template_name"`
		Limit           *string `json:"limit"`
		Stage           bool    `json:"stage"`
		IncludeDisabled bool    `json:"include_disabled"`
	}](raw)
	if err != nil {
		return err
	}
	if there.Operation != s.operation || there.Template != s.template || val(there.Limit) != s.limit ||
		there.Stage != s.stage || there.IncludeDisabled != s.includeDisabled {
		return fmt.Errorf("this run was something else before: the session %s is to %s the template %s; give the Job another name",
			s.session, there.Operation, there.Template)
	}
	fmt.Fprintf(a.sys.Stderr, "bos: the session %s was made by an earlier try of this run\n", s.session)
	return nil
}

// jobTemplate stores the template that is in a folder, unless it was stored
// before, and returns its name.
func (a *app) jobTemplate(ctx context.Context, bos *client.Client, folder string) (string, error) {
	path, err := onlyTemplate(folder)
	if err != nil {
		return "", err
	}
	body, err := a.readObject(path)
	if err != nil {
		return "", err
	}
	name := templateName(body)
	if _, err := bos.Template(ctx, name); !client.IsNotFound(err) {
		return name, err
	}
	_, err = bos.PutTemplate(ctx, name, body.JSON())
	return name, err
}

// templateName takes out of a template what the API sets itself, and returns
// the name that it is stored under by a Job: that which it has, or none in
// particular, with a digest.
func templateName(body *tree) string {
	base := ""
	if name := body.get("name"); name != nil && name.kind == kindString && bos.ValidName(name.text) {
		base = name.text
	}
	for _, own := range []string{"name", "tenant", "links"} {
		body.remove(own)
	}
	return withDigest(cmp.Or(base, "boot-session"), body.JSON())
}

// onlyTemplate returns the one file in a folder that is a template. What is
// hidden is how Kubernetes mounts files.
func onlyTemplate(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("reading the folder of the session template (TEMPLATE_NAME would name one that BOS has): %w", err)
	}
	var found []string
	for _, entry := range entries {
		ext := strings.ToLower(filepath.Ext(entry.Name()))
		if !strings.HasPrefix(entry.Name(), ".") && slices.Contains([]string{".json", ".yaml", ".yml"}, ext) {
			found = append(found, entry.Name())
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s must hold one file in JSON or YAML, the session template; it holds %d", folder, len(found))
	}
	return filepath.Join(folder, found[0]), nil
}
