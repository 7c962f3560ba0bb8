// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"fmt"
	"slices"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

// The document that export writes and import reads.
const (
	exportKind      = "bos-export"
	exportTemplates = "sessiontemplates"
	exportOptions   = "options"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write session templates and options as one document",
		Long: `Write session templates and options as one document, which 'import' reads on this server or
another one. Without --tenant it has the templates of all tenants and the options; with
--tenant it has that tenant's templates only: options belong to the whole service.

Sessions and what BOS knows of nodes are not in it; 'bosd backup' copies everything.`,
		Example: "  bos export > site.json\n  bos export --tenant vcluster-blue --format yaml > blue.yaml",
		Args:    none,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			document := objectTree()
			document.put("kind", stringTree(exportKind))
			document.put("version", numberTree("1"))
			list, err := bos.Templates(cmd.Context())
			if err != nil {
				return err
			}
			templates, err := readTemplates(list)
			if err != nil {
				return err
			}
			document.put(exportTemplates, templates)
			if a.connection.Tenant == "" {
				raw, err := bos.Options(cmd.Context())
				if err != nil {
					return err
				}
				values, err := parseJSON(raw)
				if err != nil {
					return fmt.Errorf("reading the answer: %w", err)
				}
				document.put(exportOptions, values)
			}
			// A table would be for nobody: what is exported is read by a program.
			if a.format == formatTable {
				a.format = formatJSON
			}
			return a.show(document.JSON(), nil)
		}),
	}
}

// readTemplates reads a list of templates, without what the server makes up.
func readTemplates(list *client.Stream) (*tree, error) {
	defer list.Close()
	all := &tree{kind: kindArray}
	for raw, err := range client.Each[json.RawMessage](list) {
		if err != nil {
			return nil, err
		}
		one, err := parseJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		one.remove("links")
		all.items = append(all.items, one)
	}
	return all, nil
}

// isOption reports whether there is an option of a name.
func isOption(name string) bool {
	return slices.ContainsFunc(options(), func(o option) bool { return o.name == name })
}
