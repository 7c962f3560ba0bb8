// SPDX-License-Identifier: MIT

package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// envPrefix begins the names of all settings in the environment.
const envPrefix = "BOS_"

// Load takes the settings that no flag has set from the environment (in the form
// of os.Environ), else from the file that --config or BOS_CONFIG names. Empty
// variables count as absent, and so do keys of the file without a value; white
// space around the value of a variable is dropped.
//
// warnings are about what is most likely a mistake and changes nothing:
// variables that look like settings and are none, and values that can't be read
// of settings that the command doesn't use. The error joins everything else
// that is wrong with file and variables; what could be read has been set all
// the same, so that [Config.Validate] can report the rest.
func (c *Config) Load(environ []string) (warnings []string, err error) {
	l := loader{c: c, rows: c.settings(), env: environment(environ)}
	if c.sources == nil {
		c.sources = map[string]string{}
	}
	for _, s := range l.rows {
		if s.name == fileSetting {
			l.fromEnv(s)
		}
	}
	if c.File != "" {
		l.fromFile(c.File)
	}
	for _, s := range l.rows {
		if s.name != fileSetting {
			l.fromEnv(s)
		}
	}
	l.unknownVariables()
	l.secretFlags()
	return l.warnings, errors.Join(l.faults...)
}

// loader is one Load under way.
type loader struct {
	c        *Config
	rows     []*setting
	env      map[string]string
	warnings []string
	faults   []error
}

// environment returns the variables by name, without empty ones.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		// The first one counts, as for os.Getenv.
		if _, ok := env[name]; !ok {
			env[name] = strings.TrimSpace(value)
		}
	}
	maps.DeleteFunc(env, func(_, value string) bool { return value == "" })
	return env
}

// fromEnv takes one setting from the first of its variables that is set.
func (l *loader) fromEnv(s *setting) {
	for _, name := range s.env() {
		if value, ok := l.env[name]; ok {
			l.set(s, value, "env "+name, "in the environment, "+name)
			return
		}
	}
}

// set gives a setting the value of a text, unless a flag has set it. where
// names the place for people.
func (l *loader) set(s *setting, text, source, where string) {
	if l.c.byFlag(s.name) {
		return
	}
	err := s.value.Set(text)
	if err == nil {
		l.c.sources[s.name] = source
		return
	}
	err = fmt.Errorf("%s: %w (%s)", s.name, err, where)
	if l.c.uses(s.group) {
		l.faults = append(l.faults, err)
		return
	}
	l.warnings = append(l.warnings, err.Error()+"; this command does not use it")
}

// secretFlags warns of secrets in the arguments, which everybody on the host can
// see.
func (l *loader) secretFlags() {
	for _, s := range l.rows {
		if s.isSecret() && l.c.byFlag(s.name) {
			l.warnings = append(l.warnings, fmt.Sprintf(
				"--%s holds a secret, and others on this host can see arguments; set it in the environment (%s) or in a file (--%s)",
				s.name, s.env()[0], fileSetting))
		}
	}
}

// unknownVariables warns of variables that look like settings.
func (l *loader) unknownVariables() {
	known := map[string]bool{}
	for _, s := range l.rows {
		for _, name := range s.env() {
			known[name] = true
		}
	}
	for _, name := range variablesOfClient() {
		known[name] = true
	}
	links := serviceLinks()
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if !strings.HasPrefix(name, envPrefix) || known[name] || links.MatchString(name) {
			continue
		}
		// Its value may be a secret.
		l.warnings = append(l.warnings, fmt.Sprintf("the environment variable %.100q is no setting and does nothing%s",
			name, meant(name, slices.Collect(maps.Keys(known)))))
	}
}

// variablesOfClient are settings of the command bos, which people have in their
// environment when they start a bosd.
func variablesOfClient() []string {
	return []string{envPrefix + "URL", envPrefix + "TENANT", envPrefix + "FORMAT", envPrefix + "CERT_FILE", envPrefix + "KEY_FILE"}
}

// serviceLinks matches the variables by which Kubernetes tells every container
// of services whose names begin with "bos".
func serviceLinks() *regexp.Regexp {
	return regexp.MustCompile(`^BOS_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
}

// meant proposes the name that is nearest to a wrong one, if one is near.
func meant(wrong string, names []string) string {
	const near = 2
	best, least := "", near+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := distance(wrong, name, least); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; is " + best + " meant?"
}

// distance is how many bytes must be inserted, dropped or replaced to make b of
// a, or some number of limit or more.
func distance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := above
			if a[i] != b[j] {
				cost++
			}
			above = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
