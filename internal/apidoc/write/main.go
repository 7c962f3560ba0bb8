// SPDX-License-Identifier: MIT

// Command write writes the page of the API's document, as go generate runs it:
// in the folder of the package apidoc.
package main

import (
	"fmt"
	"os"

	"bos/internal/apidoc"
)

func main() {
	if err := write("../api/openapi.yaml", "../../docs/api.md"); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(from, to string) error {
	document, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	page, err := apidoc.Markdown(document)
	if err != nil {
		return err
	}
	return os.WriteFile(to, page, 0o600)
}
