// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"bos/internal/client"
	"bos/internal/version"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// defaultURL is where bosd listens unless told otherwise.
const defaultURL = "http://127.0.0.1:9000"

// maxSettings bounds the configuration file.
const maxSettings = 1 << 20

// settings is the configuration file.
type settings struct {
	CurrentContext string              `yaml:"current-context"`
	Contexts       map[string]endpoint `yaml:"contexts"`
}

// endpoint is a server and how to speak to it.
type endpoint struct {
	URL       string `yaml:"url"`
	Tenant    string `yaml:"tenant"`
	TokenFile string `yaml:"token-file"`
	CAFile    string `yaml:"ca-file"`
	CertFile  string `yaml:"cert-file"`
	KeyFile   string `yaml:"key-file"`
}

// connection is how the server is reached.
type connection struct {
	endpoint
	// urlFrom says where the address comes from.
	urlFrom string
	// crayToken says that the token is one of the cray CLI, which renews it.
	crayToken bool
	insecure  bool
	timeout   time.Duration
}

// client returns the client of the server, and makes it at its first use.
func (a *app) client(cmd *cobra.Command) (*client.Client, error) {
	if a.bos != nil {
		return a.bos, nil
	}
	var err error
	if a.connection, err = a.connect(cmd); err != nil {
		return nil, err
	}
	a.bos, err = a.clientFor(a.connection.Tenant)
	return a.bos, err
}

// clientFor makes a client of the server on behalf of a tenant.
func (a *app) clientFor(tenant string) (*client.Client, error) {
	return client.New(client.Config{
		URL: a.connection.URL, Tenant: tenant,
		TokenFile: a.connection.TokenFile, TokenCommand: a.tokenCommand, CAFile: a.connection.CAFile,
		CertFile: a.connection.CertFile, KeyFile: a.connection.KeyFile,
		Insecure: a.connection.insecure, Timeout: a.connection.timeout,
		UserAgent: "bos/" + version.String(), Trace: a.trace(), Transport: a.sys.Transport,
	})
}

// trace returns what shows each request if that was asked for.
func (a *app) trace() func(method, address string, status int) {
	if a.flags.verbose == 0 {
		return nil
	}
	return func(method, address string, status int) {
		text := "no answer"
		if status != 0 {
			text = strconv.Itoa(status)
		}
		fmt.Fprintf(a.sys.Stderr, "%s %s: %s\n", method, address, text)
	}
}

// connect decides how the server is reached: flags go before environment, and
// that before the configuration file.
func (a *app) connect(cmd *cobra.Command) (connection, error) {
	env := endpoint{
		URL: a.sys.Getenv("BOS_URL"), Tenant: a.sys.Getenv("BOS_TENANT"),
		TokenFile: a.sys.Getenv("BOS_TOKEN_FILE"), CAFile: a.sys.Getenv("BOS_CA_FILE"),
		CertFile: a.sys.Getenv("BOS_CERT_FILE"), KeyFile: a.sys.Getenv("BOS_KEY_FILE"),
	}
	conn := connection{insecure: bool(a.flags.insecure), timeout: a.flags.timeout}
	conn.endpoint, conn.urlFrom = endpoint{URL: defaultURL}, "the default; set --url or BOS_URL to use another"
	if env.URL != "" {
		conn.urlFrom = "that of BOS_URL"
	}
	flags := cmd.Flags()
	// Settings are not read if they can't matter: a broken file must not
	// stand in the way of --url.
	switch {
	case flags.Changed("configuration"):
		chosen, path, err := a.cray()
		if err != nil {
			return connection{}, err
		}
		conn.endpoint = conn.overlaid(env).overlaid(chosen)
		conn.fromCray(path)
	case flags.Changed("context") || !flags.Changed("url") && env.URL == "":
		chosen, err := a.chosen()
		if err != nil {
			return connection{}, err
		}
		if flags.Changed("context") {
			conn.endpoint = conn.overlaid(env).overlaid(chosen.endpoint)
		} else {
			conn.endpoint = conn.overlaid(chosen.endpoint).overlaid(env)
		}
		if chosen.URL != "" {
			conn.urlFrom, conn.crayToken = chosen.urlFrom, chosen.crayToken
		}
	default:
		conn.endpoint = conn.overlaid(env)
	}
	for name, to := range map[string]*string{
		"url": &conn.URL, "tenant": &conn.Tenant, "token-file": &conn.TokenFile, "ca-file": &conn.CAFile,
		"cert-file": &conn.CertFile, "key-file": &conn.KeyFile,
	} {
		if flags.Changed(name) {
			*to = flags.Lookup(name).Value.String()
		}
	}
	if flags.Changed("url") {
		conn.urlFrom = ""
	}
	return conn, nil
}

// chosen returns the context in use, or else what the cray CLI uses.
func (a *app) chosen() (connection, error) {
	found, name, err := a.context()
	if err != nil || name != "" {
		return connection{
			endpoint: found, urlFrom: fmt.Sprintf("that of the context %q in %s", name, a.settingsFile()),
		}, err
	}
	found, path, err := a.cray()
	conn := connection{endpoint: found}
	conn.fromCray(path)
	return conn, err
}

// fromCray notes that a server and its token are those of the cray CLI.
func (c *connection) fromCray(path string) {
	c.urlFrom, c.crayToken = "that of the cray CLI in "+path, c.TokenFile != ""
}

// overlaid returns an endpoint with what another one has.
func (e endpoint) overlaid(over endpoint) endpoint {
	pick := func(a, b string) string {
		if b != "" {
			return b
		}
		return a
	}
	return endpoint{
		pick(e.URL, over.URL), pick(e.Tenant, over.Tenant),
		pick(e.TokenFile, over.TokenFile), pick(e.CAFile, over.CAFile),
		pick(e.CertFile, over.CertFile), pick(e.KeyFile, over.KeyFile),
	}
}

// context returns the context that --context names, or else the current one,
// or nothing.
func (a *app) context() (endpoint, string, error) {
	file, err := a.settings()
	if err != nil {
		return endpoint{}, "", err
	}
	name := a.flags.context
	if name == "" {
		name = file.CurrentContext
	}
	if name == "" {
		return endpoint{}, "", nil
	}
	chosen, ok := file.Contexts[name]
	if !ok {
		known := "it has none"
		if len(file.Contexts) > 0 {
			known = "it has " + strings.Join(slices.Sorted(maps.Keys(file.Contexts)), ", ")
		}
		return endpoint{}, "", fmt.Errorf("there is no context %q in %s: %s", name, a.settingsFile(), known)
	}
	chosen.TokenFile = a.atHome(chosen.TokenFile)
	chosen.CAFile = a.atHome(chosen.CAFile)
	chosen.CertFile, chosen.KeyFile = a.atHome(chosen.CertFile), a.atHome(chosen.KeyFile)
	return chosen, name, nil
}

// settings reads the configuration file. There need not be one.
func (a *app) settings() (settings, error) {
	var s settings
	path := a.settingsFile()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("reading the configuration: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSettings))
	if err != nil {
		return s, fmt.Errorf("reading the configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("the configuration file %s is wrong: %s", path, yamlText(err))
	}
	return s, nil
}

// yamlText is what is shown of an error of the YAML decoder, which names Go's
// types.
func yamlText(err error) string {
	var mistakes *yaml.TypeError
	if !errors.As(err, &mistakes) {
		return strings.TrimPrefix(err.Error(), "yaml: ")
	}
	var texts []string
	for _, text := range mistakes.Errors {
		text, _, _ = strings.Cut(text, " in type ")
		text, _, _ = strings.Cut(text, " into ")
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// settingsFile is the path of the configuration file.
func (a *app) settingsFile() string {
	dir := a.sys.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		dir = filepath.Join(a.sys.Getenv("HOME"), ".config")
	}
	return filepath.Join(dir, "bos", "config.yaml")
}

// atHome replaces ~ in front of a path.
func (a *app) atHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(a.sys.Getenv("HOME"), rest)
	}
	return path
}
