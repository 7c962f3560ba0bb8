// SPDX-License-Identifier: MIT

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds a file that is sent. The largest body that the API takes for
// one document has this size.
const maxFile = 64 << 20

// readFile reads a file that is to be sent; - is the standard input.
func (a *app) readFile(path string) ([]byte, error) {
	in := a.sys.Stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return text, nil
}

// readObject reads an object from a file in JSON, or in YAML if it is named so.
func (a *app) readObject(path string) (*tree, error) {
	text, err := a.readFile(path)
	if err != nil {
		return nil, err
	}
	parse, what := parseJSON, "JSON"
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" {
		parse, what = parseYAML, "YAML"
	}
	t, err := parse(text)
	if err == nil && t.kind != kindObject {
		err = errors.New("it is not an object")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a template in %s: %w", path, what, err)
	}
	return t, nil
}
