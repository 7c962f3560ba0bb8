// SPDX-License-Identifier: MIT

package deploy

import (
	"slices"
	"strings"
	"testing"
)

// container returns the container of a workload, and its pod.
func container(t *testing.T, o object) (container, pod map[string]any) {
	t.Helper()
	pod = at(o, "spec", "template", "spec").(map[string]any)
	return pod["containers"].([]any)[0].(map[string]any), pod
}

func variables(c map[string]any) map[string]any {
	found := map[string]any{}
	for _, v := range c["env"].([]any) {
		found[at(v, "name").(string)] = at(v, "value")
	}
	return found
}

func TestWorkloads(t *testing.T) {
	for name, shape := range shapes() {
		rendered, err := render(t, shape.values)
		if err != nil {
			t.Fatal(err)
		}
		for id, o := range objects(t, rendered) {
			if o.kind() != "StatefulSet" && o.kind() != "Deployment" {
				continue
			}
			c, pod := container(t, o)
			if at(c, "securityContext", "readOnlyRootFilesystem") != true || at(pod, "securityContext", "runAsNonRoot") != true ||
				pod["automountServiceAccountToken"] != false {
				t.Errorf("%s: %s is not confined", name, id)
			}
			volumes := map[string]bool{"data": true}
			for _, v := range pod["volumes"].([]any) {
				volumes[at(v, "name").(string)] = true
			}
			for _, m := range c["volumeMounts"].([]any) {
				if volume := at(m, "name").(string); !volumes[volume] {
					t.Errorf("%s: %s mounts %s, which is not there", name, id, volume)
				}
			}
		}
	}
}

// Every workload is probed and scraped at a port that it has, as it serves.
func TestWorkloadsAreLookedAfter(t *testing.T) {
	for name, shape := range shapes() {
		rendered, err := render(t, shape.values)
		if err != nil {
			t.Fatal(err)
		}
		all := objects(t, rendered)
		scheme := "HTTP"
		if strings.Contains(shape.values, "bos-tls") {
			scheme = "HTTPS"
		}
		for id, o := range all {
			if o.kind() != "StatefulSet" && o.kind() != "Deployment" {
				continue
			}
			c, _ := container(t, o)
			ports := map[any]bool{}
			for _, p := range c["ports"].([]any) {
				ports[at(p, "name")] = true
			}
			for probe, path := range map[string]string{"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
				get := at(c, probe, "httpGet")
				if at(get, "path") != path || !ports[at(get, "port")] || at(get, "scheme") != scheme {
					t.Errorf("%s: %s: the %s is %v", name, id, probe, get)
				}
			}
			if slices.Equal(c["args"].([]any), []any{"serve"}) {
				continue
			}
			if env := variables(c); env["BOS_METRICS_LISTEN"] != ":9000" || !ports["metrics"] {
				t.Errorf("%s: %s serves no metrics: %v", name, id, env)
			}
			monitor := all["PodMonitor/bos-operators"]
			if monitor == nil {
				continue
			}
			labels := at(o, "spec", "template", "metadata", "labels").(map[string]any)
			for key, value := range at(monitor, "spec", "selector", "matchLabels").(map[string]any) {
				if labels[key] != value {
					t.Errorf("%s: %s is not scraped: its label %s is %v", name, id, key, labels[key])
				}
			}
			if endpoint := at(monitor, "spec", "podMetricsEndpoints").([]any)[0]; at(endpoint, "port") != "metrics" || at(endpoint, "scheme") != strings.ToLower(scheme) {
				t.Errorf("%s: the operators are scraped at %v", name, endpoint)
			}
		}
	}
}

func TestMembersFindEachOther(t *testing.T) {
	rendered, err := render(t, shapes()["operators by themselves"].values)
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, rendered)
	c, _ := container(t, all["StatefulSet/bos"])
	env := variables(c)
	domain := ".bos-peers.services.svc.cluster.local"
	initial := "bos-0=bos-0" + domain + ":2380,bos-1=bos-1" + domain + ":2380,bos-2=bos-2" + domain + ":2380"
	if env["BOS_CLUSTER_INITIAL"] != initial || env["BOS_CLUSTER_ADVERTISE"] != "$(POD_NAME)"+domain+":2380" || env["BOS_OPERATORS"] != "none" {
		t.Errorf("the member is told %v", env)
	}
	c, _ = container(t, all["Deployment/bos-power-on"])
	if got, want := variables(c)["BOS_ETCD_ENDPOINTS"], "https://bos-0"+domain+":2379,https://bos-1"+domain+":2379,https://bos-2"+domain+":2379"; got != want {
		t.Errorf("the operator looks for the store at %v", got)
	}
	if !slices.Equal(c["args"].([]any), []any{"operator", "power-on"}) {
		t.Errorf("the operator is started with %v", c["args"])
	}

	rendered, err = render(t, shapes()["five members that join"].values)
	if err != nil {
		t.Fatal(err)
	}
	c, _ = container(t, objects(t, rendered)["StatefulSet/bos"])
	env = variables(c)
	if join, _ := env["BOS_CLUSTER_JOIN"].(string); strings.Count(join, ",") != 4 || env["BOS_CLUSTER_INITIAL"] != nil {
		t.Errorf("the member is told %v", env)
	}
}
