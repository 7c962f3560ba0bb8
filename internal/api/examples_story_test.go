// SPDX-License-Identifier: MIT

package api

import "strings"

// The moments of the story.
const (
	discovered = "09:20:11"
	created    = "09:26:40"
	poweredOn  = "09:26:41"
	unreported = "09:32:04"
	halfway    = "09:38:17"
	done       = "09:41:02"
)

// The things of the story.
const (
	templatePath = "/v2/sessiontemplates/compute-2026-11"
	noTemplateAt = "/v2/sessiontemplates/compute-2026-12"
	sessionPath  = "/v2/sessions/boot-compute-1"
	noSessionAt  = "/v2/sessions/boot-compute-2"
	nodePath     = "/v2/components/x3000c0s1b0n0"
	noNodeAt     = "/v2/components/x3000c0s9b0n0"
	blueTenant   = "vcluster-blue"
	otherTenant  = "vcluster-red"
)

func versionStory() []scene {
	return []scene{
		{operation: "root_get", path: "/", status: 200, at: discovered},
		{operation: "v2_get", path: "/v2", status: 200, at: discovered},
		{operation: "get_version_v2", path: "/v2/version", status: 200, at: discovered},
		{operation: "get_healthz_v2", path: "/v2/healthz", status: 200, example: "well", at: discovered},
		{operation: "get_metrics", path: "/metrics", status: 200, at: discovered},
		{operation: "get_readyz", path: "/readyz", status: 200, at: discovered},
		{operation: "get_livez", path: "/livez", status: 200, at: discovered},
		{operation: "get_openapi_json", path: "/openapi.json", status: 200, at: discovered},
		{operation: "get_openapi_yaml", path: "/openapi.yaml", status: 200, at: discovered},
	}
}

func templateStory() []scene {
	return []scene{
		{operation: "get_v2_sessiontemplatetemplate", path: "/v2/sessiontemplatetemplate", status: 200, at: discovered},
		{operation: "put_v2_sessiontemplate", path: templatePath, status: 200, at: discovered},
		{operation: "get_v2_sessiontemplate", path: templatePath, status: 200, at: discovered},
		{operation: "get_v2_sessiontemplates", path: "/v2/sessiontemplates", status: 200, at: discovered},
		{operation: "get_v2_sessiontemplatesvalid", path: "/v2/sessiontemplatesvalid/compute-2026-11", status: 200, example: "valid", at: discovered},
		{operation: "patch_v2_sessiontemplate", path: templatePath, status: 200, at: discovered},
		{operation: "patch_v2_sessiontemplate", path: templatePath, status: 200, at: discovered, aside: true,
			body: `{"boot_sets":{"compute":{"path":"s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/manifest.json","type":"s3","rootfs_provider":"cpss3"}}}`},
		{operation: "get_v2_sessiontemplatesvalid", path: "/v2/sessiontemplatesvalid/compute-2026-11", status: 200, example: "warning", at: discovered},
	}
}

func componentStory() []scene {
	return []scene{
		{operation: "put_v2_components", path: "/v2/components", status: 200, at: discovered},
		{operation: "get_v2_components", path: "/v2/components", status: 200, at: discovered},
		{operation: "put_v2_component", path: nodePath, status: 200, at: discovered},
		{operation: "patch_v2_component", path: nodePath, status: 200, at: discovered},
		{operation: "patch_v2_components", path: "/v2/components", status: 200, example: "list", at: discovered},
		{operation: "put_v2_components", path: "/v2/components", status: 200, at: discovered, aside: true,
			body: `[{"id":"x3000c0s1b0n0","session":"boot-compute-1"},{"id":"x3000c0s1b0n1","session":"boot-compute-1"}]`},
		{operation: "patch_v2_components", path: "/v2/components", status: 200, example: "filters", at: discovered},
		// What is staged on two nodes is started.
		{operation: "put_v2_components", path: "/v2/components", status: 200, at: discovered, aside: true,
			body: strings.ReplaceAll(`[{"id":"x3000c0s1b0n0",STAGED},{"id":"x3000c0s1b0n1",STAGED}]`, "STAGED",
				`"last_action":{"action":"session_setup"},"staged_state":{"session":"stage-compute-1","boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}`)},
		{operation: "post_v2_session", path: "/v2/sessions", status: 201, at: discovered, aside: true,
			body: `{"operation":"reboot","template_name":"compute-2026-11","name":"stage-compute-1","stage":true}`},
		{operation: "post_v2_apply_staged", path: "/v2/applystaged", status: 200, at: discovered},
		{operation: "delete_v2_session", path: "/v2/sessions/stage-compute-1", status: 204, at: discovered},
	}
}

func sessionStory() []scene {
	return []scene{
		{operation: "put_v2_component", path: nodePath, status: 200, at: discovered, aside: true,
			body: `{"actual_state":{"boot_artifacts":{"kernel":"","kernel_parameters":"","initrd":""},"bss_token":""}}`},
		{operation: "post_v2_session", path: "/v2/sessions", status: 201, at: created},
		{operation: "patch_v2_session", path: sessionPath, status: 200, at: created, aside: true,
			body: `{"components":"x3000c0s1b0n0,x3000c0s1b0n1","status":{"status":"running"}}`},
		{operation: "get_v2_sessions", path: "/v2/sessions", status: 200, at: created},
		{operation: "patch_v2_component", path: nodePath, status: 200, at: created, aside: true,
			body: `{"enabled":true,"session":"boot-compute-1","error":"","desired_state":{"configuration":"compute-25.11","boot_artifacts":{
				"kernel":"s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/kernel","kernel_parameters":"console=ttyS0,115200 quiet",
				"initrd":"s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/initrd"}}}`},
		{operation: "patch_v2_component", path: nodePath, status: 200, at: poweredOn, aside: true,
			body: `{"last_action":{"action":"powering_on","failed":false},"event_stats":{"power_on_attempts":1},"status":{"phase":"powering_on","status_override":""}}`},
		{operation: "get_v2_component", path: nodePath, status: 200, at: poweredOn},
		{operation: "get_v2_component_why", path: nodePath + "/why", status: 200, at: unreported},
		{operation: "get_v2_session_events", path: sessionPath + "/events", status: 200, at: poweredOn},
		{operation: "get_v2_component_timeline", path: nodePath + "/timeline?after=19", status: 200, at: poweredOn},
		{operation: "get_v2_events", path: "/v2/events?session=boot-compute-1&limit=1", status: 200, at: poweredOn},
		{operation: "put_v2_component", path: "/v2/components/x3000c0s1b0n1", status: 200, at: halfway, aside: true,
			body: `{"enabled":false,"session":"boot-compute-1","error":"The node did not power on","status":{"phase":"powering_on","status_override":"failed"}}`},
		{operation: "get_v2_fleet", path: "/v2/fleet", status: 200, at: halfway},
		{operation: "get_v2_session_status", path: sessionPath + "/status", status: 200, at: halfway},
		{operation: "get_v2_session_outcome", path: sessionPath + "/outcome", status: 200, at: halfway},
		{operation: "post_v2_session_plan", path: "/v2/sessionplan", status: 200, at: halfway},
		{operation: "pause_v2_session", path: sessionPath + "/pause", status: 200, at: halfway},
		{operation: "resume_v2_session", path: sessionPath + "/resume", status: 200, at: halfway},
		{operation: "post_v2_session_plan", path: "/v2/sessionplan", status: 409, at: halfway,
			body: `{"operation":"boot","template_name":"compute-2026-11","name":"boot-compute-1"}`},
		{operation: "save_v2_session_status", path: sessionPath + "/status", status: 200, at: halfway},
		{operation: "patch_v2_session", path: sessionPath, status: 200, at: done},
		{operation: "get_v2_session", path: sessionPath, status: 200, at: done},
		{operation: "post_v2_session", path: "/v2/sessions", status: 201, at: done, aside: true,
			body: `{"operation":"boot","template_name":"compute-2026-11","name":"boot-compute-3"}`},
		{operation: "put_v2_component", path: "/v2/components/x3000c0s3b0n0", status: 200, at: done, aside: true,
			body: `{"session":"boot-compute-3","enabled":true}`},
		{operation: "patch_v2_component", path: "/v2/components/x3000c0s3b0n0", status: 200, at: done, aside: true,
			body: `{"status":{"phase":"powering_off","status_override":""}}`},
		{operation: "cancel_v2_session", path: "/v2/sessions/boot-compute-3/cancel", status: 200, at: done},
		{operation: "delete_v2_session", path: "/v2/sessions/boot-compute-3", status: 204, at: done},
		{operation: "delete_v2_component", path: "/v2/components/x3000c0s3b0n0", status: 204, at: done},
	}
}

func optionStory() []scene {
	return []scene{
		{operation: "get_v2_options", path: "/v2/options", status: 200, at: done},
		{operation: "patch_v2_options", path: "/v2/options", status: 200, at: done},
		{operation: "patch_v2_options", path: "/v2/options", status: 400, at: done, body: `{"bss_read_timeout":9}`},
	}
}

func errorStory() []scene {
	const (
		set     = `"path":"s3://b/i/manifest.json","type":"s3","node_groups":["g"]`
		noPath  = `{"boot_sets":{"compute":{"type":"s3","node_groups":["g"]}}}`
		renamed = `{"boot_sets":{"compute":{"name":"uan",` + set + `}}}`
	)
	return []scene{
		{operation: "put_v2_sessiontemplate", path: templatePath, status: 400, example: "missing", at: done, body: noPath},
		{operation: "patch_v2_sessiontemplate", path: templatePath, status: 400, example: "missing", at: done, body: noPath},
		{operation: "put_v2_sessiontemplate", path: templatePath, status: 400, example: "readOnly", at: done, body: `{"name":"x","boot_sets":{"compute":{` + set + `}}}`},
		{operation: "put_v2_sessiontemplate", path: templatePath, status: 400, example: "name", at: done, body: renamed},
		{operation: "get_v2_sessiontemplate", path: noTemplateAt, status: 404, at: done},
		{operation: "patch_v2_sessiontemplate", path: noTemplateAt, status: 404, at: done},
		{operation: "delete_v2_sessiontemplate", path: noTemplateAt, status: 404, at: done},
		{operation: "get_v2_sessiontemplatesvalid", path: "/v2/sessiontemplatesvalid/compute-2026-12", status: 404, at: done},
		{operation: "get_v2_sessiontemplates", path: "/v2/sessiontemplates", status: 400, at: done, tenant: strings.Repeat("t", 128)},
		{operation: "get_v2_sessiontemplate", path: "/v2/sessiontemplates/-", status: 400, at: done},
		{operation: "delete_v2_sessiontemplate", path: "/v2/sessiontemplates/a%20b", status: 400, at: done},
		{operation: "get_v2_sessiontemplatesvalid", path: "/v2/sessiontemplatesvalid/a.", status: 400, at: done},

		{operation: "post_v2_session", path: "/v2/sessions", status: 409, at: done},
		{operation: "post_v2_session_plan", path: "/v2/sessionplan", status: 400, example: "field", at: done, body: `{"operation":"dance","template_name":"compute-2026-11"}`},
		{operation: "post_v2_session", path: "/v2/sessions", status: 400, example: "field", at: done, body: `{"operation":"dance","template_name":"compute-2026-11"}`},
		{operation: "post_v2_session", path: "/v2/sessions", status: 400, example: "template", at: done, body: `{"operation":"boot","template_name":"compute-2026-12"}`},
		{operation: "patch_v2_options", path: "/v2/options", status: 200, at: done, aside: true, body: `{"session_limit_required":true}`},
		{operation: "post_v2_session", path: "/v2/sessions", status: 400, example: "limit", at: done, body: `{"operation":"boot","template_name":"compute-2026-11"}`},
		{operation: "get_v2_session", path: noSessionAt, status: 404, at: done},
		{operation: "patch_v2_session", path: noSessionAt, status: 404, at: done},
		{operation: "delete_v2_session", path: noSessionAt, status: 404, at: done},
		{operation: "get_v2_session_status", path: noSessionAt + "/status", status: 404, at: done},
		{operation: "save_v2_session_status", path: noSessionAt + "/status", status: 404, at: done},
		{operation: "get_v2_session_outcome", path: noSessionAt + "/outcome", status: 404, at: done},
		{operation: "cancel_v2_session", path: noSessionAt + "/cancel", status: 404, at: done},
		{operation: "cancel_v2_session", path: sessionPath + "/cancel", status: 409, at: done},
		{operation: "pause_v2_session", path: noSessionAt + "/pause", status: 404, at: done},
		{operation: "pause_v2_session", path: sessionPath + "/pause", status: 409, at: done},
		{operation: "resume_v2_session", path: noSessionAt + "/resume", status: 404, at: done},
		{operation: "resume_v2_session", path: sessionPath + "/resume", status: 409, at: done},
		{operation: "get_v2_session", path: "/v2/sessions/-", status: 400, at: done},
		{operation: "get_v2_sessions", path: "/v2/sessions?min_age=3", status: 400, at: done},
		{operation: "delete_v2_sessions", path: "/v2/sessions?status=finished", status: 400, example: "filter", at: done},
		{operation: "delete_v2_sessions", path: "/v2/sessions?staus=complete", status: 400, example: "unknown", at: done},
		{operation: "patch_v2_session", path: sessionPath, status: 400, example: "field", at: done, body: `{"name":"x"}`},
		{operation: "patch_v2_session", path: sessionPath, status: 400, example: "time", at: done, body: `{"status":{"end_time":"2026-11-31T09:41:02"}}`},

		{operation: "get_v2_components", path: "/v2/components?page_size=many", status: 400, example: "parameter", at: done},
		{operation: "get_v2_components", path: "/v2/components", status: 400, example: "tenant", at: done, tenant: otherTenant},
		{operation: "get_v2_component", path: nodePath, status: 400, at: done, tenant: otherTenant},
		{operation: "delete_v2_component", path: nodePath, status: 400, at: done, tenant: otherTenant},
		{operation: "put_v2_component", path: nodePath, status: 400, example: "tenant", at: done, tenant: otherTenant},
		{operation: "put_v2_components", path: "/v2/components", status: 400, example: "tenant", at: done, tenant: otherTenant},
		{operation: "patch_v2_component", path: nodePath, status: 400, example: "field", at: done, body: `{"actual_state":{"bss_token":5}}`},
		{operation: "put_v2_component", path: nodePath, status: 400, example: "readOnly", at: done, body: `{"status":{"status":"stable"}}`},
		{operation: "patch_v2_components", path: "/v2/components", status: 400, example: "filters", at: done, body: `{"patch":{"error":""},"filters":{"ids":"a","session":"b"}}`},
		{operation: "patch_v2_components", path: "/v2/components", status: 400, example: "tenant", at: done, tenant: otherTenant, body: `[]`},
		{operation: "get_v2_component", path: noNodeAt, status: 404, at: done},
		{operation: "get_v2_component_why", path: noNodeAt + "/why", status: 404, at: done},
		{operation: "get_v2_component_timeline", path: noNodeAt + "/timeline", status: 404, at: done},
		{operation: "get_v2_component_timeline", path: nodePath + "/timeline", status: 400, at: done, tenant: otherTenant},
		{operation: "get_v2_session_events", path: noSessionAt + "/events", status: 404, at: done},
		{operation: "get_v2_session_events", path: "/v2/sessions/-/events", status: 400, at: done},
		{operation: "get_v2_events", path: "/v2/events?component=x3000c0s%5B1-4", status: 400, example: "parameter", at: done},
		{operation: "get_v2_events", path: "/v2/events", status: 400, example: "tenant", at: done, tenant: otherTenant},
		{operation: "get_v2_component_why", path: nodePath + "/why", status: 400, at: done, tenant: otherTenant},
		{operation: "patch_v2_component", path: noNodeAt, status: 404, at: done},
		{operation: "delete_v2_component", path: noNodeAt, status: 404, at: done},
		{operation: "put_v2_component", path: noNodeAt, status: 404, at: done, tenant: blueTenant},
		{operation: "put_v2_components", path: "/v2/components", status: 404, at: done, tenant: blueTenant, body: `[{"id":"x3000c0s9b0n0"}]`},
		{operation: "patch_v2_components", path: "/v2/components", status: 404, at: done, body: `[{"id":"x3000c0s9b0n0"}]`},
		{operation: "patch_v2_component", path: nodePath, status: 200, at: done, aside: true,
			body: `{"last_action":{"action":"powering_off_gracefully"},"status":{"phase":"powering_off"}}`},
		{operation: "patch_v2_component", path: nodePath, status: 409, at: done},
		{operation: "post_v2_apply_staged", path: "/v2/applystaged", status: 400, example: "field", at: done, body: `{"xnames":["x3000c0s1b0n0",""]}`},
		{operation: "post_v2_apply_staged", path: "/v2/applystaged", status: 400, example: "tenant", at: done, tenant: otherTenant},
	}
}

func endStory() []scene {
	return []scene{
		{operation: "delete_v2_sessions", path: "/v2/sessions?status=complete", status: 204, at: done},
		{operation: "delete_v2_sessiontemplate", path: templatePath, status: 204, at: done},
		{operation: "delete_v2_component", path: "/v2/components/x3000c0s1b0n1", status: 204, at: done},
	}
}
