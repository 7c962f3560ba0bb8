// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"
	"errors"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) templatesCommand() *cobra.Command {
	return group("sessiontemplates", "What nodes shall run, described once and used by many sessions",
		a.templateWriteCommand("create NAME", "Create or replace a session template",
			`Create a session template, or replace it as a whole.

--file has the template in JSON, or in YAML if its name ends in .yaml or .yml; - reads JSON
from the standard input. Flags are added to what is in the file. What 'describe' shows can be
used: the name, the tenant and the links in it are left out.`,
			(*client.Client).PutTemplate),
		a.templateWriteCommand("update NAME", "Change a session template",
			`Change a session template. Only what is given is changed; boot sets are merged by name and
then field by field, and each one that is given needs its path and type.

--file has the change in JSON, or in YAML if its name ends in .yaml or .yml; - reads JSON from
the standard input. Flags are added to what is in the file.`,
			(*client.Client).PatchTemplate),
		&cobra.Command{
			Use: "list", Short: "List session templates", Args: none,
			RunE: run(func(cmd *cobra.Command, _ []string) error {
				bos, err := a.client(cmd)
				if err != nil {
					return err
				}
				list, err := bos.Templates(cmd.Context())
				if err != nil {
					return err
				}
				return a.showList(list, templatesView)
			}),
		},
		&cobra.Command{
			Use: "describe NAME", Short: "Show a session template", Args: oneName("NAME"),
			ValidArgsFunction: first(a.completeTemplates),
			RunE:              a.document((*client.Client).Template, templateView),
		},
		&cobra.Command{
			Use: "delete NAME", Short: "Delete a session template",
			Long: "Delete a session template. Sessions that were made from it go on.",
			Args: oneName("NAME"), ValidArgsFunction: first(a.completeTemplates),
			RunE: a.removal((*client.Client).DeleteTemplate, "session template"),
		})
}

// templateWriteCommand makes the command that creates or changes a template.
func (a *app) templateWriteCommand(
	use, short, long string,
	write func(*client.Client, context.Context, string, []byte) (json.RawMessage, error),
) *cobra.Command {
	var file, configuration, description string
	var enableCFS boolean
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: oneName("NAME"),
		ValidArgsFunction: first(a.completeTemplates),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			body := objectTree()
			flags := cmd.Flags()
			if flags.Changed("file") {
				var err error
				if body, err = a.readObject(file); err != nil {
					return err
				}
				// The API refuses what it sets itself.
				for _, own := range []string{"name", "tenant", "links"} {
					body.remove(own)
				}
			}
			if flags.Changed("description") {
				body.put("description", stringTree(description))
			}
			if flags.Changed("enable-cfs") {
				body.put("enable_cfs", boolTree(bool(enableCFS)))
			}
			if flags.Changed("cfs-configuration") {
				body.set(stringTree(configuration), "cfs", "configuration")
			}
			if len(body.keys) == 0 {
				return misused(errors.New("say what is in the template: --file is needed, or another flag"))
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			raw, err := write(bos, cmd.Context(), args[0], body.JSON())
			if err != nil {
				return err
			}
			return a.show(raw, templateView)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "file", "", "file with the template in JSON or YAML; - is the standard input")
	a.booleanVar(flags, &enableCFS, "enable-cfs", "whether nodes are configured (true or false)")
	flags.StringVar(&configuration, "cfs-configuration", "", "configuration that nodes get")
	flags.StringVar(&description, "description", "", "what the template is for, in your words")
	return cmd
}

func (a *app) templatesValidCommand() *cobra.Command {
	return group("sessiontemplatesvalid", "Whether session templates can be used", &cobra.Command{
		Use: "describe NAME", Short: "Check a session template as for a boot session",
		Args: oneName("NAME"), ValidArgsFunction: first(a.completeTemplates),
		RunE: a.document((*client.Client).ValidateTemplate, textView),
	})
}

func (a *app) exampleTemplateCommand() *cobra.Command {
	return withAlias("sessiontemplatetemplate", "An example of a session template", &cobra.Command{
		Use: "list", Short: "Show a session template to start from", Args: none,
		RunE: a.single((*client.Client).ExampleTemplate, templateView),
	})
}
