// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// maxToken bounds a file with a token.
const maxToken = 1 << 20

// tokenTimeout bounds how long a command may take to print a token.
const tokenTimeout = 30 * time.Second

// token returns the token of a request, or "" for none.
func (c *Client) token(ctx context.Context) (string, error) {
	switch {
	case c.cfg.TokenFile != "":
		return readToken(c.cfg.TokenFile)
	case len(c.cfg.TokenCommand) > 0:
		return printedToken(ctx, c.cfg.TokenCommand)
	}
	return "", nil
}

// printedToken runs a command and reads the token that it prints. What it
// prints beside that, on its standard error, is not shown: it may be a secret.
func printedToken(ctx context.Context, command []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	//nolint:gosec // the one who starts the program says which
	text, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("running the token command %s: %w", command[0], err)
	}
	return parseToken(text[:min(len(text), maxToken)], "what the token command "+command[0]+" printed")
}

// readToken reads a bearer token from a file.
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
	return parseToken(text, "the token file "+path)
}

// parseToken reads a token from a text: the token alone, or a JSON object with
// it as access_token, as OAuth servers give it out. Errors never show what is in
// the text, but where it is from.
func parseToken(text []byte, from string) (string, error) {
	token := strings.TrimSpace(string(text))
	if strings.HasPrefix(token, "{") {
		var grant struct {
			AccessToken string `json:"access_token"`
		}
		if json.Unmarshal(text, &grant) != nil || grant.AccessToken == "" {
			return "", fmt.Errorf("there is no access_token in %s", from)
		}
		token = grant.AccessToken
	}
	if token == "" {
		return "", fmt.Errorf("%s is empty", from)
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("%s holds more than a token", from)
		}
	}
	return token, nil
}
