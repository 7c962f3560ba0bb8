// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// chart packs the Helm chart, with the version of the packages.
func (d *dist) chart(ctx context.Context, done string) error {
	files, err := d.tracked(ctx, "deploy/helm/bos", "")
	if err != nil {
		return err
	}
	version := chartVersion(d.version)
	for i := range files {
		files[i].name = strings.TrimPrefix(files[i].name, "/")
		if files[i].name == "Chart.yaml" {
			files[i].content = stamp(files[i].content, version, d.version)
		}
	}
	var packed bytes.Buffer
	if err := archive(&packed, "bos", d.date, files); err != nil {
		return err
	}
	name := filepath.Join(done, fmt.Sprintf("bos-chart-%s.tgz", version))
	return os.WriteFile(name, packed.Bytes(), 0o644) //nolint:gosec // everyone may read it
}

// chartVersion returns the version of the chart. Helm takes semantic versions only:
// that of a commit without a tag becomes one before all others.
func chartVersion(version string) string {
	if regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+].*)?$`).MatchString(version) {
		return strings.ReplaceAll(version, "~", "-")
	}
	return "0.0.0-g" + strings.ReplaceAll(version, "~", "-")
}

// stamp writes versions into the description of a chart.
func stamp(description []byte, version, app string) []byte {
	description = regexp.MustCompile(`(?m)^version: .*$`).ReplaceAll(description, []byte("version: "+version))
	return regexp.MustCompile(`(?m)^appVersion: .*$`).ReplaceAll(description, fmt.Appendf(nil, "appVersion: %q", app))
}
