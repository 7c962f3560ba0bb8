// SPDX-License-Identifier: MIT

package client

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxToken bounds a file with a token.
const maxToken = 1 << 20

// readToken reads a bearer token from a file: the token alone, or a JSON
// object with it as access_token, as OAuth servers give it out. Errors never
// show what is in the file.
func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxToken))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if strings.HasPrefix(token, "{") {
		var grant struct {
			AccessToken string `json:"access_token"`
		}
		if json.Unmarshal(text, &grant) != nil || grant.AccessToken == "" {
			return "", fmt.Errorf("there is no access_token in the token file %s", path)
		}
		token = grant.AccessToken
	}
	if token == "" {
		return "", fmt.Errorf("the token file %s is empty", path)
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("the token file %s holds more than a token", path)
		}
	}
	return token, nil
}
