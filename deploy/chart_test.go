// SPDX-License-Identifier: MIT

package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

func TestMain(m *testing.M) {
	// Helm tells of each link in the chart.
	slog.SetLogLoggerLevel(slog.LevelWarn)
	os.Exit(m.Run())
}

// kubernetesVersions are those whose schemas the chart is held against: the oldest
// that it says it is for, and the newest that there are schemas of.
func kubernetesVersions() []string { return []string{"1.25", "1.30"} }

// schemas writes the JSON schemas of a version of Kubernetes into a folder, as
// kubeconform reads them: from the API documents that kubectl-validate carries,
// so that nothing has to be fetched. Fields that are not in them are refused.
func schemas(t *testing.T, version string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kubectl-validate").Output()
	if err != nil {
		t.Fatalf("find the API documents of Kubernetes: %v", err)
	}
	documents := os.DirFS(filepath.Join(strings.TrimSpace(string(out)), "pkg/openapiclient/builtins", version))
	dir := t.TempDir()
	err = fs.WalkDir(documents, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(documents, path)
		if err != nil {
			return err
		}
		var document struct {
			Components struct{ Schemas map[string]map[string]any }
		}
		if err := json.Unmarshal(raw, &document); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, schema := range document.Components.Schemas {
			closeSchema(schema)
		}
		for name, schema := range document.Components.Schemas {
			kinds, _ := schema["x-kubernetes-group-version-kind"].([]any)
			for _, k := range kinds {
				kind := k.(map[string]any)
				if currentType(fmt.Sprint(kind["kind"])) == nil {
					// The chart makes none, and each has the whole document with it.
					continue
				}
				group := kind["group"]
				if group == "" {
					// What kubeconform takes for it.
					group = kind["version"]
				}
				file := fmt.Sprintf("%v-%v-%v.json", group, kind["version"], kind["kind"])
				text, err := json.Marshal(map[string]any{
					"$ref": "#/components/schemas/" + name, "components": map[string]any{"schemas": document.Components.Schemas},
				})
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, strings.ToLower(file)), text, 0o600); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// closeSchema refuses fields that an object does not have. Schemas of several parts
// (quantities, numbers or texts) stay as they are.
func closeSchema(schema map[string]any) {
	if _, open := schema["x-kubernetes-preserve-unknown-fields"]; open {
		return
	}
	_, extra := schema["additionalProperties"]
	if properties, ok := schema["properties"].(map[string]any); ok && !extra {
		schema["additionalProperties"] = false
		for _, p := range properties {
			if inner, ok := p.(map[string]any); ok {
				closeSchema(inner)
			}
		}
	}
	// Quantities and the like are numbers or texts, with a default of {}.
	delete(schema, "default")
}

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir("helm/bos")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render renders the chart as `helm template bos deploy/helm/bos -n services` does
// with values, in YAML.
func render(t *testing.T, values string) (map[string]string, error) {
	t.Helper()
	given := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	c := loadChart(t)
	all, err := util.ToRenderValues(c, given,
		common.ReleaseOptions{Name: "bos", Namespace: "services", Revision: 1, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(c, all)
}

// object is a rendered document.
type object map[string]any

func (o object) kind() string { return o["kind"].(string) }

func (o object) name() string { return o["metadata"].(map[string]any)["name"].(string) }

// at returns what is at a path of keys; nil if it isn't there.
func at(value any, path ...string) any {
	for _, key := range path {
		switch v := value.(type) {
		case object:
			value = v[key]
		case map[string]any:
			value = v[key]
		default:
			return nil
		}
	}
	return value
}

// objects returns the documents of a rendering, by KIND/NAME.
func objects(t *testing.T, rendered map[string]string) map[string]object {
	t.Helper()
	all := map[string]object{}
	for file, text := range rendered {
		if strings.HasSuffix(file, ".txt") || strings.HasSuffix(file, ".tpl") {
			continue
		}
		for document := range strings.SplitSeq(text, "\n---") {
			o := object{}
			if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
				t.Fatalf("%s: %v\n%s", file, err, document)
			}
			if len(o) == 0 {
				continue
			}
			id := o.kind() + "/" + o.name()
			if all[id] != nil {
				t.Errorf("%s is there twice", id)
			}
			all[id] = o
		}
	}
	return all
}

// shape is a set of values, and what it makes.
type shape struct {
	values string
	// wants are what there is, as KIND/NAME, beside the config map, the service and
	// the account of every shape.
	wants []string
}

const jwt = `
auth: {mode: jwt, issuers: ["https://auth.example.com"], keys: ["https://auth.example.com/keys"]}
`

func shapes() map[string]shape {
	everything := []string{
		"StatefulSet/bos", "Service/bos-peers", "PodDisruptionBudget/bos", "Ingress/bos", "NetworkPolicy/bos", "ServiceMonitor/bos",
		"PrometheusRule/bos", "ConfigMap/bos-dashboard",
	}
	separate := []string{"ServiceAccount/bos-operators"}
	for _, name := range []string{
		"actual-state-cleanup", "configuration", "discovery", "power-off-forceful", "power-off-graceful", "power-on", "session-cleanup",
		"session-completion", "session-setup", "status",
	} {
		separate = append(separate, "Deployment/bos-"+name)
	}
	return map[string]shape{
		"one pod": {`{auth: {mode: none}, api: {replicas: 1}}`, []string{"StatefulSet/bos", "Service/bos-peers", "PodDisruptionBudget/bos"}},
		"three members": {jwt + `store: {embedded: {tls: {existingSecret: bos-store}}}`,
			[]string{"StatefulSet/bos", "Service/bos-peers", "PodDisruptionBudget/bos"}},
		"five members that join": {jwt + `
store: {embedded: {insecure: true, bootstrap: join, persistence: {storageClass: fast, size: 20Gi}, snapshots: {enabled: false}}}
api: {replicas: 5, spread: required, podDisruptionBudget: {enabled: false}}
`, []string{"StatefulSet/bos", "Service/bos-peers"}},
		"etcd outside": {jwt + `
store: {mode: external, external: {endpoints: ["https://etcd-0:2379", "https://etcd-1:2379"], tls: {existingSecret: etcd-client}, username: bos,
  passwordSecret: {name: etcd-password}}}
api: {autoscaling: {enabled: true}}
`, []string{"Deployment/bos", "PodDisruptionBudget/bos", "HorizontalPodAutoscaler/bos"}},
		"operators by themselves": {jwt + `
store: {embedded: {tls: {existingSecret: bos-store}}}
operators: {mode: separate, replicas: 2}
`, append([]string{"StatefulSet/bos", "Service/bos-peers", "PodDisruptionBudget/bos"}, separate...)},
		"operators by themselves, etcd outside": {jwt + `
store: {mode: external, external: {endpoints: ["http://etcd:2379"]}}
operators: {mode: separate}
serviceAccount: {annotations: {a: b}}
serviceMonitor: {enabled: true}
tls: {existingSecret: bos-tls}
`, append([]string{"Deployment/bos", "PodDisruptionBudget/bos", "ServiceMonitor/bos", "PodMonitor/bos-operators"}, separate...)},
		"everything": {`
commonLabels: {team: hpc}
image: {repository: registry.example.com/bos, tag: 1.2.3, digest: "sha256:` + strings.Repeat("ab", 32) + `", pullSecrets: [{name: pull}]}
api:
  replicas: 3
  annotations: {a: b}
  podLabels: {c: d}
  podAnnotations: {e: f}
  nodeSelector: {role: mgmt}
  tolerations: [{key: mgmt, operator: Exists}]
  affinity: {nodeAffinity: {}}
  priorityClassName: csm-high-priority-service
  extraEnv: [{name: BOS_RATE, value: "1000"}]
  extraVolumes: [{name: backup, persistentVolumeClaim: {claimName: backup}}]
  extraVolumeMounts: [{name: backup, mountPath: /backup}]
store: {embedded: {tls: {existingSecret: bos-store}, snapshots: {dir: /backup}}}
auth: {mode: "jwt,mtls", issuers: ["https://a", "https://b"], keys: ["https://a/keys", "https://b/keys"], roleClaim: scope, roles: ["bos:admin=admin"],
  names: ["cn:ops=admin"], openMetrics: false}
tls: {existingSecret: bos-tls}
services: {cfs: none, ims: none, tapms: none, tokenSecret: {name: token}, caConfigMap: {name: site-ca}}
s3: {protocol: https, gateway: "minio:9000", existingSecret: {name: bos-s3-credentials}}
proxyPath: /apis/bos
config: {power-on-rate: 50, max-body: ["16MiB", "patch_v2_options=64KiB"]}
ingress: {enabled: true, className: nginx, hosts: [bos.example.com, ""], tls: [{hosts: [bos.example.com], secretName: bos-tls}], annotations: {g: h}}
service: {type: LoadBalancer, port: 443, annotations: {i: j}}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
dashboard: {enabled: true}
tracing: {endpoint: "http://collector:4318", ratio: 0.1}
networkPolicy: {enabled: true, apiFrom: [{namespaceSelector: {matchLabels: {name: gateway}}}]}
`, everything},
	}
}

func TestChart(t *testing.T) {
	for _, version := range kubernetesVersions() {
		dir := schemas(t, version)
		check, err := validator.New([]string{filepath.Join(dir, "{{ .Group }}-{{ .ResourceAPIVersion }}-{{ .ResourceKind }}.json")},
			validator.Opts{KubernetesVersion: version + ".0", Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		for name, shape := range shapes() {
			t.Run(version+"/"+name, func(t *testing.T) {
				rendered, err := render(t, shape.values)
				if err != nil {
					t.Fatal(err)
				}
				all := objects(t, rendered)
				want := append([]string{"ConfigMap/bos", "Service/bos", "ServiceAccount/bos"}, shape.wants...)
				slices.Sort(want)
				if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
					t.Errorf("there are %q\nwant %q", got, want)
				}
				for id, o := range all {
					conforms(t, check, id, o)
				}
				if notes := rendered["bos/templates/NOTES.txt"]; !strings.Contains(notes, "port-forward svc/bos ") || strings.Contains(notes, "<no value>") {
					t.Errorf("the notes are\n%s", notes)
				}
			})
		}
	}
}

// conforms checks an object against the schema of its kind.
func conforms(t *testing.T, check validator.Validator, id string, o object) {
	t.Helper()
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	switch o.kind() {
	case "ServiceMonitor":
		err = yaml.UnmarshalStrict(text, &monitoring.ServiceMonitor{})
	case "PodMonitor":
		err = yaml.UnmarshalStrict(text, &monitoring.PodMonitor{})
	case "PrometheusRule":
		err = yaml.UnmarshalStrict(text, &monitoring.PrometheusRule{})
	default:
		if typed := currentType(o.kind()); typed != nil {
			if err := yaml.UnmarshalStrict(text, typed); err != nil {
				t.Errorf("%s is not of today's Kubernetes: %v\n%s", id, err, text)
			}
		} else {
			t.Errorf("%s: there is no type for its kind here", id)
		}
		result := check.ValidateResource(resource.Resource{Path: id, Bytes: text})
		if result.Status != validator.Valid {
			err = fmt.Errorf("%v %v", result.Err, result.ValidationErrors)
		}
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", id, err, text)
	}
}

// currentType returns an empty object of a kind, as the newest version of
// Kubernetes has it; nil for kinds that the chart does not make.
func currentType(kind string) any {
	switch kind {
	case "StatefulSet":
		return &apps.StatefulSet{}
	case "Deployment":
		return &apps.Deployment{}
	case "Service":
		return &core.Service{}
	case "ServiceAccount":
		return &core.ServiceAccount{}
	case "ConfigMap":
		return &core.ConfigMap{}
	case "Ingress":
		return &networking.Ingress{}
	case "NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "HorizontalPodAutoscaler":
		return &autoscaling.HorizontalPodAutoscaler{}
	}
	return nil
}

// What a schema check must find.
func TestSchemasAreStrict(t *testing.T) {
	dir := schemas(t, kubernetesVersions()[0])
	check, err := validator.New([]string{filepath.Join(dir, "{{ .Group }}-{{ .ResourceAPIVersion }}-{{ .ResourceKind }}.json")}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	good := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"
	for text, want := range map[string]validator.Status{
		good: validator.Valid,
		strings.Replace(good, "port: 80", "prot: 80", 1):       validator.Invalid,
		strings.Replace(good, "port: 80", "port: eighty", 1):   validator.Invalid,
		strings.Replace(good, "kind: Service", "kind: Srv", 1): validator.Error,
	} {
		results := check.Validate("test", io.NopCloser(bytes.NewReader([]byte(text))))
		if len(results) != 1 || results[0].Status != want {
			t.Errorf("%s: %+v, want %v", text, results, want)
		}
	}
}

func TestChartRefuses(t *testing.T) {
	for values, says := range map[string]string{
		`{}`:                                        "auth.mode: say who may use the API",
		`{auth: {mode: jwt}}`:                       "auth.issuers:",
		`{auth: {mode: sometimes}}`:                 "mode",
		`{auth: {mode: none}, apii: {}}`:            "apii",
		`{auth: {mode: none}}`:                      "store.embedded.tls.existingSecret:",
		`{auth: {mode: mtls}}`:                      "tls.existingSecret:",
		jwt + `api: {replicas: 2}`:                  "api.replicas: an embedded store has 1, 3 or 5 members",
		jwt + `store: {mode: external}`:             "store.external.endpoints:",
		jwt + `operators: {names: [nobody]}`:        "names",
		jwt + `api: {autoscaling: {enabled: true}}`: "api.autoscaling.enabled:",
		`{auth: {mode: none}, api: {replicas: 1}, operators: {mode: separate}}`:         "store.embedded.tls.existingSecret:",
		`{auth: {mode: jwt, issuers: ["https://a", "https://b"], keys: ["https://a"]}}`: "auth.keys:",
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", values, err, says)
		}
	}
}
