// SPDX-License-Identifier: MIT

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

const (
	// crayDefault is the configuration of the cray CLI where none is active.
	crayDefault = "default"
	// crayAPI is where its gateway has BOS.
	crayAPI = "/apis/bos"
)

// craySettings is what a configuration of the cray CLI says that matters here.
type craySettings struct {
	Core struct {
		Hostname string `toml:"hostname"`
		Tenant   string `toml:"tenant"`
	} `toml:"core"`
	Auth struct {
		Login struct {
			Username string `toml:"username"`
		} `toml:"login"`
	} `toml:"auth"`
}

// crayDir is where the cray CLI keeps its configurations and tokens.
func (a *app) crayDir() string {
	home := a.sys.Getenv("CRAY_CONFIG_DIR")
	if home == "" {
		home = a.sys.Getenv("HOME")
	}
	return filepath.Join(home, ".config", "cray")
}

// cray returns the server that the cray CLI of the same user would ask, with
// its tenant and token, and the file that says so; nothing if the cray CLI was
// never set up here. A configuration that was asked for by name must exist.
func (a *app) cray() (endpoint, string, error) {
	name, asked := a.flags.configuration, true
	if name == "" {
		name = a.sys.Getenv("CRAY_CONFIG")
	}
	if name == "" {
		name, asked = crayDefault, false
		active, err := readSmall(filepath.Join(a.crayDir(), "active_config"))
		if err != nil {
			return endpoint{}, "", fmt.Errorf("reading which configuration of the cray CLI is active: %w", err)
		}
		if text := strings.TrimSpace(string(active)); text != "" {
			name = text
		}
	}
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return endpoint{}, "", fmt.Errorf("%q is not the name of a configuration of the cray CLI", name)
	}
	path := filepath.Join(a.crayDir(), "configurations", name)
	text, err := readSmall(path)
	if err != nil {
		return endpoint{}, "", fmt.Errorf("reading a configuration of the cray CLI: %w", err)
	}
	if text == nil {
		if asked {
			return endpoint{}, "", fmt.Errorf("the cray CLI has no configuration %q: there is no %s", name, path)
		}
		return endpoint{}, "", nil
	}
	var s craySettings
	if err := toml.Unmarshal(text, &s); err != nil {
		return endpoint{}, "", fmt.Errorf("the configuration %s of the cray CLI is wrong: %w", path, err)
	}
	if s.Core.Hostname == "" {
		if asked {
			return endpoint{}, "", fmt.Errorf("the configuration %s of the cray CLI has no core.hostname", path)
		}
		return endpoint{}, "", nil
	}
	gateway, host := crayGateway(s.Core.Hostname)
	found := endpoint{URL: gateway + crayAPI, Tenant: s.Core.Tenant, TokenFile: a.sys.Getenv("CRAY_CREDENTIALS")}
	if user := s.Auth.Login.Username; found.TokenFile == "" && user != "" {
		// The file has the names of host and user without what is special in
		// host names, and no extension.
		file := strings.NewReplacer("-", "_", ".", "_").Replace(host) + "." + strings.ReplaceAll(user, ".", "_")
		file = filepath.Join(a.crayDir(), "tokens", filepath.Base(file))
		if _, err := os.Stat(file); err == nil {
			found.TokenFile = file
		}
	}
	return found, path, nil
}

// crayGateway returns the address of the gateway and its host. The cray CLI
// takes a name alone for one that is reached by https.
func crayGateway(hostname string) (address, host string) {
	if !strings.Contains(hostname, "://") {
		hostname = "https://" + hostname
	}
	u, err := url.Parse(hostname)
	if err != nil {
		// What is no address is refused where it is used.
		return hostname, ""
	}
	return u.Scheme + "://" + u.Host, u.Host
}

// readSmall reads a file of the cray CLI; one that does not exist is nil.
func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSettings))
	if err != nil {
		return nil, err
	}
	return append([]byte{}, text...), nil
}
