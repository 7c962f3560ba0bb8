// SPDX-License-Identifier: MIT

// Command write writes the page of the API's document: write DOCUMENT PAGE.
package main

import (
	"fmt"
	"os"

	"bos/internal/apidoc"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("give the document and the page, and not %d arguments", len(args))
	}
	document, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	page, err := apidoc.Markdown(document)
	if err != nil {
		return err
	}
	return os.WriteFile(args[1], page, 0o644)
}
