// SPDX-License-Identifier: MIT

// Command write writes the page of the API's document, as go generate runs it:
// in the folder of the package apidoc.
package main

import (
	"errors"
	"fmt"
	"os"

	"bos/internal/apidoc"
)

func main() {
	if err := write(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	document, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		return err
	}
	page, err := apidoc.Markdown(document)
	if err != nil {
		return err
	}
	out, err := os.Create("../../docs/api.md")
	if err != nil {
		return err
	}
	_, err = out.Write(page)
	return errors.Join(err, out.Close())
}
