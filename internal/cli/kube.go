// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// digestLabel tells what a Job does: two that do the same have the same.
	digestLabel = "bos/digest"
	// maxLabel bounds names of objects in Kubernetes.
	maxLabel = 63
	// jobRetries is how often a Job that could not reach BOS tries again.
	jobRetries = 6
	// nobody is the user that a Job runs as, which is that of the image.
	nobody = 65532
)

// kubeFlags say what Job is made.
type kubeFlags struct {
	sessionFlags
	file, namespace, image, account, server, secret string
	ttl, deadline                                   time.Duration
	kubectl                                         string
}

func (a *app) kubeCommand() *cobra.Command {
	return group("kube", "Boot from Kubernetes: each run a Job of its own", a.kubeRenderCommand(), a.kubeLaunchCommand())
}

const kubeHelp = `Each run is a new Job, with a name of its own, so that nothing has to be deleted before the
next run. The Job runs 'bos job' and ends as its nodes did; Kubernetes removes it some time
after that. The label ` + digestLabel + ` tells what it does: the same for the same.

TEMPLATE is a session template that BOS has; with --file the template comes along, in a
ConfigMap that is named after what is in it and never changes.`

func (a *app) kubeRenderCommand() *cobra.Command {
	f := &kubeFlags{}
	cmd := &cobra.Command{
		Use: "render boot|reboot|shutdown [TEMPLATE]", Short: "Write a Job that boots, reboots or shuts down",
		Long:    "Write a Job that boots, reboots or shuts down the nodes of a session template, in YAML.\n\n" + kubeHelp,
		Example: "  bos kube render reboot compute --limit 'x3000c0s[1-4]b0n0' | kubectl apply -f -",
		RunE: run(func(cmd *cobra.Command, args []string) error {
			objects, _, err := a.renderKube(f, args)
			if err != nil {
				return err
			}
			return a.writeKube(a.out, objects)
		}),
	}
	f.define(a, cmd)
	return cmd
}

func (a *app) kubeLaunchCommand() *cobra.Command {
	f := &kubeFlags{}
	cmd := &cobra.Command{
		Use: "launch boot|reboot|shutdown [TEMPLATE]", Short: "Start a Job that boots, reboots or shuts down",
		Long: `Start a Job that boots, reboots or shuts down the nodes of a session template. kubectl does
it, with the cluster and the rights that it has here.

` + kubeHelp,
		Example: "  bos kube launch reboot compute --limit 'x3000c0s[1-4]b0n0'",
		RunE: run(func(cmd *cobra.Command, args []string) error {
			objects, name, err := a.renderKube(f, args)
			if err != nil {
				return err
			}
			var manifest bytes.Buffer
			if err := a.writeKube(&manifest, objects); err != nil {
				return err
			}
			//nolint:gosec // the one who starts the program says which
			kubectl := exec.CommandContext(cmd.Context(), f.kubectl, "apply", "-f", "-")
			kubectl.Stdin, kubectl.Stdout, kubectl.Stderr = &manifest, a.out, a.sys.Stderr
			if err := kubectl.Run(); err != nil {
				return fmt.Errorf("running %s: %w", f.kubectl, err)
			}
			_, err = fmt.Fprintf(a.out, "The session is %s; 'bos watch' shows it.\n", runSession(f.namespace, name, ""))
			return err
		}),
	}
	f.define(a, cmd)
	cmd.Flags().StringVar(&f.kubectl, "kubectl", "kubectl", "program that speaks to Kubernetes")
	return cmd
}

// define adds the flags to a command.
func (f *kubeFlags) define(a *app, cmd *cobra.Command) {
	f.sessionFlags.define(a, cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name of the Job; made from operation and template if not given")
	flags.StringVar(&f.file, "file", "", "file with the session template in JSON or YAML; - is the standard input")
	flags.StringVar(&f.namespace, "namespace", "services", "namespace of the Job")
	flags.StringVar(&f.image, "image", "bos:latest", "container image with bos")
	flags.StringVar(&f.account, "service-account", "", "service account of the Job")
	flags.StringVar(&f.server, "server", "http://cray-bos.services", "address of BOS as the Job sees it")
	flags.StringVar(&f.secret, "token-secret", "", "secret whose key token has the token to send")
	flags.DurationVar(&f.ttl, "ttl", 24*time.Hour, "how long the Job is kept when it has ended")
	flags.DurationVar(&f.deadline, "deadline", 6*time.Hour, "how long the Job may take")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return []string{"boot", "reboot", "shutdown"}, cobra.ShellCompDirectiveNoFileComp
		case 1:
			return a.completeTemplates(cmd, args, begun)
		}
		return nothing(cmd, args, begun)
	}
}

// renderKube makes the objects of a run, and returns the name of its Job.
func (a *app) renderKube(f *kubeFlags, args []string) ([]*tree, string, error) {
	if len(args) == 0 || len(args) > 2 || (len(args) == 2) == (f.file != "") {
		return nil, "", misused(errors.New("an operation is needed, and a template or --file"))
	}
	operation, err := operationName(args[0])
	if err != nil {
		return nil, "", err
	}
	limit, err := expandLimit(f.limit)
	if err != nil {
		return nil, "", err
	}
	var objects []*tree
	var template, folder string
	if len(args) == 2 {
		template = args[1]
	} else {
		body, err := a.readObject(f.file)
		if err != nil {
			return nil, "", err
		}
		name := body.get("name")
		template = templateName(body)
		if name != nil {
			body.put("name", name)
		}
		folder = kubeName(template, "", maxLabel)
		objects = append(objects, f.configMap(folder, body))
	}
	env := []string{
		"BOS_URL", f.server, "OPERATION", operation, "LIMIT", limit,
		"STAGE", strconv.FormatBool(bool(f.stage)), "INCLUDE_DISABLED", strconv.FormatBool(bool(f.includeDisabled)),
		"BOS_TENANT", a.flags.tenant, "NAMESPACE", f.namespace,
	}
	if folder == "" {
		env = append(env, "TEMPLATE_NAME", template)
	}
	sum := sha256.Sum256([]byte(strings.Join(append(env, folder), "\x00")))
	digest := hex.EncodeToString(sum[:8])
	name := cmp.Or(f.name, kubeName("bos-"+operation+"-"+template, suffix(), maxLabel-10))
	job := f.job(name, digest, folder, append(env, "RUN", name))
	return append(objects, job), name, nil
}

// suffix tells two runs of the same apart.
func suffix() string { return strings.ToLower(rand.Text()[:6]) }

// kubeName makes a name for Kubernetes of any text.
func kubeName(text, end string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	if end != "" {
		end = "-" + end
	}
	if room := most - len(end); len(text) > room {
		// The end of a template's name has its digest.
		text = text[:room-11] + text[len(text)-11:]
	}
	return strings.Trim(text, "-") + end
}

// writeKube writes objects as kubectl reads them.
func (a *app) writeKube(out writer, objects []*tree) error {
	if a.asked && a.format == formatJSON {
		list := object("apiVersion", stringTree("v1"), "kind", stringTree("List"), "items", array(objects...))
		in := newIndenter(out)
		if _, err := in.Write(list.JSON()); err != nil {
			return err
		}
		return in.Close()
	}
	for i, one := range objects {
		if i > 0 {
			if _, err := io.WriteString(out, "---\n"); err != nil {
				return err
			}
		}
		if err := writeYAML(out, one); err != nil {
			return err
		}
	}
	return nil
}

// object makes an object of names and values.
func object(members ...any) *tree {
	t := objectTree()
	for i := 0; i+1 < len(members); i += 2 {
		name, _ := members[i].(string)
		switch value := members[i+1].(type) {
		case *tree:
			t.put(name, value)
		case string:
			t.put(name, stringTree(value))
		case bool:
			t.put(name, boolTree(value))
		case int:
			t.put(name, numberTree(strconv.Itoa(value)))
		}
	}
	return t
}

// array makes a list.
func array(items ...*tree) *tree { return &tree{kind: kindArray, items: items} }

// labels are those of everything that belongs to a run.
func labels(digest string) *tree {
	return object("app.kubernetes.io/name", "bos-job", "app.kubernetes.io/managed-by", "bos", digestLabel, digest)
}

// configMap holds a session template.
func (f *kubeFlags) configMap(name string, body *tree) *tree {
	digest := name[strings.LastIndexByte(name, '-')+1:]
	return object(
		"apiVersion", "v1", "kind", "ConfigMap",
		"metadata", object("name", name, "namespace", f.namespace, "labels", labels(digest)),
		"immutable", true, "data", object("template.json", string(body.JSON())))
}

// job makes a Job that runs bos job.
func (f *kubeFlags) job(name, digest, folder string, env []string) *tree {
	container := object(
		"name", "bos", "image", f.image, "command", array(stringTree("/usr/bin/bos"), stringTree("job")),
		"env", f.environment(env),
		"resources", object("requests", object("cpu", "10m", "memory", "32Mi"), "limits", object("memory", "256Mi")),
		"securityContext", object("allowPrivilegeEscalation", false, "readOnlyRootFilesystem", true,
			"capabilities", object("drop", array(stringTree("ALL")))))
	pod := object(
		"restartPolicy", "Never", "automountServiceAccountToken", false,
		"securityContext", object("runAsNonRoot", true, "runAsUser", nobody, "seccompProfile", object("type", "RuntimeDefault")),
		"containers", array(container))
	if f.account != "" {
		pod.put("serviceAccountName", stringTree(f.account))
	}
	var mounts, volumes []*tree
	if folder != "" {
		mounts = append(mounts, object("name", "boot-session", "mountPath", jobFolder, "readOnly", true))
		volumes = append(volumes, object("name", "boot-session", "configMap", object("name", folder)))
	}
	if f.secret != "" {
		mounts = append(mounts, object("name", "token", "mountPath", "/var/run/secrets/bos", "readOnly", true))
		volumes = append(volumes, object("name", "token", "secret", object("secretName", f.secret)))
	}
	if len(mounts) > 0 {
		container.put("volumeMounts", array(mounts...))
		pod.put("volumes", array(volumes...))
	}
	// Only a server that could not be reached is worth another try.
	ends := object("action", "FailJob", "onExitCodes", object("containerName", "bos", "operator", "In",
		"values", array(numberTree("2"), numberTree("3"), numberTree("4"))))
	return object(
		"apiVersion", "batch/v1", "kind", "Job",
		"metadata", object("name", name, "namespace", f.namespace, "labels", labels(digest)),
		"spec", object(
			"backoffLimit", jobRetries, "ttlSecondsAfterFinished", int(f.ttl.Seconds()),
			"activeDeadlineSeconds", int(f.deadline.Seconds()),
			"podFailurePolicy", object("rules", array(ends)),
			"template", object("metadata", object("labels", labels(digest)), "spec", pod)))
}

// environment makes the environment of a container of names and values; what is
// empty is left out.
func (f *kubeFlags) environment(env []string) *tree {
	list := array()
	if f.secret != "" {
		env = append(env, "BOS_TOKEN_FILE", "/var/run/secrets/bos/token")
	}
	for i := 0; i+1 < len(env); i += 2 {
		if env[i+1] != "" {
			list.items = append(list.items, object("name", env[i], "value", env[i+1]))
		}
	}
	return list
}
