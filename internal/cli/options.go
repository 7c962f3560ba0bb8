// SPDX-License-Identifier: MIT

package cli

import (
	"errors"
	"strings"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

// option is a setting of the service.
type option struct {
	name string
	kind kind
	help string
}

// flag is the option's name as a flag.
func (o option) flag() string { return strings.ReplaceAll(o.name, "_", "-") }

// options are the settings that the API knows.
func options() []option {
	return []option{
		{"bss_read_timeout", kindNumber, "seconds to wait for BSS"},
		{"cfs_read_timeout", kindNumber, "seconds to wait for CFS"},
		{"cleanup_completed_session_ttl", kindString, "how long complete sessions are kept, such as 7d; 0 is for ever"},
		{"clear_stage", kindBool, "empty the staged state of a node once it was started"},
		{"component_actual_state_ttl", kindString, "how long what a node reported is believed, such as 4h"},
		{"default_retry_policy", kindNumber, "attempts of one kind for nodes without a retry policy"},
		{"discovery_frequency", kindNumber, "seconds between looks for new nodes"},
		{"hsm_read_timeout", kindNumber, "seconds to wait for HSM"},
		{"ims_errors_fatal", kindBool, "refuse templates while IMS is away"},
		{"ims_images_must_exist", kindBool, "refuse templates whose image IMS does not know"},
		{"ims_read_timeout", kindNumber, "seconds to wait for IMS"},
		{"logging_level", kindString, "DEBUG, INFO, WARNING, ERROR or CRITICAL"},
		{"max_boot_wait_time", kindNumber, "seconds that a node may take to boot"},
		{"max_component_batch_size", kindNumber, "nodes in one step; 0 is no limit"},
		{"max_power_off_wait_time", kindNumber, "seconds that a node may take to turn off gracefully"},
		{"max_power_on_wait_time", kindNumber, "seconds that a node may take to turn on"},
		{"pcs_read_timeout", kindNumber, "seconds to wait for PCS"},
		{"polling_frequency", kindNumber, "seconds between looks at all nodes"},
		{"reject_nids", kindBool, "refuse nodes that are named by NID"},
		{"session_limit_required", kindBool, "refuse sessions without a limit"},
	}
}

func (a *app) optionsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "Show every option with the value in effect", Args: none,
		RunE: a.single((*client.Client).Options, optionsView),
	}
	return group("options", "Settings of the whole service", list, a.optionsUpdateCommand())
}

func (a *app) optionsUpdateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "update", Short: "Change options, and show all of them",
		Example: "  bos options update --polling-frequency 10 --reject-nids",
		Args:    none,
	}
	flags := cmd.Flags()
	for _, o := range options() {
		switch o.kind {
		case kindBool:
			a.booleanVar(flags, new(boolean), o.flag(), o.help+" (true or false)")
		case kindNumber:
			flags.Int(o.flag(), 0, o.help)
		case kindString, kindNull, kindArray, kindObject:
			flags.String(o.flag(), "", o.help)
		}
	}
	complete(cmd, "logging-level", words("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		patch := objectTree()
		for _, o := range options() {
			if flag := flags.Lookup(o.flag()); flag.Changed {
				patch.put(o.name, &tree{kind: o.kind, text: flag.Value.String()})
			}
		}
		if len(patch.keys) == 0 {
			return misused(errors.New("say which options to change"))
		}
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		raw, err := bos.PatchOptions(cmd.Context(), patch.JSON())
		if err != nil {
			return err
		}
		return a.show(raw, optionsView)
	})
	return cmd
}
