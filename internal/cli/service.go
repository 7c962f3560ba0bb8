// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"

	"bos/internal/api/apitypes"
	"bos/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return withAlias("version", "The version of the API", &cobra.Command{
		Use: "list", Short: "Show the version of the API that the server speaks", Args: none,
		RunE: a.single((*client.Client).Version, versionView),
	})
}

// legacyListCommand is what the cray CLI calls bos list.
func (a *app) legacyListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Hidden: true, Short: "Show the version of the API", Args: none,
		RunE: a.single((*client.Client).Version, versionView),
	}
}

func (a *app) healthzCommand() *cobra.Command {
	return withAlias("healthz", "Whether the service is well", &cobra.Command{
		Use: "list", Short: "Show whether the API answers and reaches its store", Args: none,
		RunE: a.single((*client.Client).Health, healthView),
	})
}

func versionView(s *screen, raw json.RawMessage) error {
	v, err := client.Decode[apitypes.Version](raw)
	if err != nil {
		return err
	}
	var f fields
	f.add("API version", v.Major+"."+v.Minor+"."+v.Patch)
	return f.write(s)
}

func healthView(s *screen, raw json.RawMessage) error {
	h, err := client.Decode[apitypes.Health](raw)
	if err != nil {
		return err
	}
	var f fields
	for _, part := range []struct {
		name  string
		state apitypes.HealthState
	}{{"API", h.APIStatus}, {"Database", h.DBStatus}} {
		st := bad
		if part.state == apitypes.HealthStateOk {
			st = good
		}
		f.styled(part.name, string(part.state), st)
	}
	return f.write(s)
}
