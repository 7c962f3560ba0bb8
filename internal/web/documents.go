// SPDX-License-Identifier: MIT

package web

import "bos/internal/xname"

// What pages read of the API's documents. The contract of each is in its
// openapi.yaml.

type session struct {
	Name            string
	Tenant          string
	Operation       string
	Template        string `json:"template_name"`
	Limit           string
	Stage           bool
	IncludeDisabled bool `json:"include_disabled"`
	Status          struct {
		Start string `json:"start_time"`
		End   string `json:"end_time"`
		State string `json:"status"`
		Error string
	}
}

type outcome struct {
	Session   string
	Tenant    string
	Operation string
	Template  string `json:"template_name"`
	Status    string
	Outcome   string
	Paused    bool
	Start     string `json:"start_time"`
	End       string `json:"end_time"`
	Error     string
	Counts    counts
	Failures  []struct {
		Error string
		Count int
		Nodes string
	}
	Slowest []struct {
		Node, Phase, Since string
	}
	TakenOver []taken `json:"taken_over_by"`
}

type taken struct {
	Session, Tenant, Nodes string
	Count                  int
}

// counts has every node of a session in one bucket.
type counts struct {
	Total       int
	Succeeded   int
	Failed      int
	Cancelled   int
	TakenOver   int `json:"taken_over"`
	LeftOut     int `json:"left_out"`
	Waiting     int
	PoweringOff int `json:"powering_off"`
	PoweringOn  int `json:"powering_on"`
	Booting     int
	Configuring int
	Staged      int
}

// bucket is one of the counts, with its name.
type bucket struct {
	Name  string
	Count int
}

// Buckets are the counts in the order in which nodes go through them.
func (c counts) Buckets() []bucket {
	return []bucket{
		{"succeeded", c.Succeeded}, {"failed", c.Failed}, {"configuring", c.Configuring}, {"booting", c.Booting},
		{"powering_on", c.PoweringOn}, {"powering_off", c.PoweringOff}, {"waiting", c.Waiting}, {"staged", c.Staged},
		{"cancelled", c.Cancelled}, {"taken_over", c.TakenOver}, {"left_out", c.LeftOut},
	}
}

// Done is how many nodes nothing more will be done to.
func (c counts) Done() int { return c.Succeeded + c.Failed + c.Cancelled + c.TakenOver + c.LeftOut }

type event struct {
	Time, Type, Session, Tenant, Nodes, Text string
	Count                                    int
}

type why struct {
	Status, Phase, Session, Turn, Since, Summary, Next string
	Said                                               []struct{ Service, At, Text string }
	Unstick                                            []string
}

type artifacts struct{ Kernel, Initrd string }

type component struct {
	ID      string
	Enabled bool
	Session string
	Error   string
	Retry   int `json:"retry_policy"`
	Status  struct{ Status, Phase string }
	Actual  struct {
		Artifacts artifacts `json:"boot_artifacts"`
		Updated   string    `json:"last_updated"`
	} `json:"actual_state"`
	Desired struct {
		Artifacts     artifacts `json:"boot_artifacts"`
		Configuration string
		Updated       string `json:"last_updated"`
	} `json:"desired_state"`
	Staged struct {
		Artifacts     artifacts `json:"boot_artifacts"`
		Configuration string
		Session       string
	} `json:"staged_state"`
	Action struct {
		Action  string
		Failed  bool
		Updated string `json:"last_updated"`
	} `json:"last_action"`
	Stats struct {
		On       int `json:"power_on_attempts"`
		Graceful int `json:"power_off_graceful_attempts"`
		Forceful int `json:"power_off_forceful_attempts"`
	} `json:"event_stats"`
}

type sessionTemplate struct {
	Name        string
	Tenant      string
	Description string
	EnableCFS   *bool `json:"enable_cfs"`
	CFS         struct{ Configuration string }
	BootSets    orderedSets `json:"boot_sets"`
}

type bootSet struct {
	Path, Type, Arch string
	Etag             string
	Parameters       string   `json:"kernel_parameters"`
	NodeList         []string `json:"node_list"`
	Roles            []string `json:"node_roles_groups"`
	Groups           []string `json:"node_groups"`
	Provider         string   `json:"rootfs_provider"`
	CFS              struct{ Configuration string }
}

// Nodes are the nodes that a boot set lists, as a range.
func (b bootSet) Nodes() string { return xname.Fold(b.NodeList) }

type plan struct {
	Operation string
	Template  string `json:"template_name"`
	Limit     string
	Stage     bool
	Count     int
	Racks     int
	Nodes     string
	BootSets  []struct {
		Name, Nodes, Configuration string
		Count                      int
		Artifacts                  artifacts `json:"boot_artifacts"`
	} `json:"boot_sets"`
	Included []planned
	Excluded []planned
	Taken    []taken `json:"taken_over"`
	Warnings []string
}

type planned struct {
	Action, Reason, Why, Nodes string
	Count                      int
}
