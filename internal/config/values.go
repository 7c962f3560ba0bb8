// SPDX-License-Identifier: MIT

package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"bos/internal/sim"
)

// The kinds of values, as the help shows them.
const (
	kindString   = "string"
	kindList     = "list"
	kindInt      = "int"
	kindFloat    = "float"
	kindBool     = "bool"
	kindDuration = "duration"
)

// value is the place of a setting's value in a [Config]. It is a flag's value,
// and takes the texts of environment and file in the same form. A text that
// Set refuses leaves it as it was.
type value interface {
	Set(text string) error
	String() string
	Type() string
	// node returns the value as it stands in a file.
	node() *yaml.Node
}

// cell is a value of one scalar.
type cell[T any] struct {
	p      *T
	kind   string
	tag    string
	parse  func(string) (T, error)
	format func(T) string
}

// Set implements [value].
func (c cell[T]) Set(text string) error {
	v, err := c.parse(text)
	if err != nil {
		return err
	}
	*c.p = v
	return nil
}

// String implements [value].
func (c cell[T]) String() string {
	if c.p == nil {
		return ""
	}
	return c.format(*c.p)
}

// Type implements [value].
func (c cell[T]) Type() string { return c.kind }

func (c cell[T]) node() *yaml.Node { return scalar(c.tag, c.String()) }

// The types of values in a file. A value of tagPlain is written as it is, one of
// tagString so that it is read as a text.
const (
	tagPlain  = ""
	tagString = "!!str"
	tagNull   = "!!null"
)

func scalar(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: strings.ToValidUTF8(text, "\uFFFD")}
}

func text(p *string) value {
	same := func(s string) (string, error) { return s, nil }
	return cell[string]{p, kindString, tagString, same, func(s string) string { return s }}
}

// address is a text that somebody might put credentials into.
func address(p *string) value {
	same := func(s string) (string, error) { return s, nil }
	return cell[string]{p, kindString, tagString, same, hideUserinfo}
}

// path is a text that begins with a slash and doesn't end with one, or is
// empty, however it was written.
func path(p *string) value {
	clean := func(s string) (string, error) {
		if s = strings.Trim(s, "/"); s != "" {
			s = "/" + s
		}
		return s, nil
	}
	return cell[string]{p, kindString, tagString, clean, func(s string) string { return s }}
}

func secret(p *Secret) value {
	same := func(s string) (Secret, error) { return Secret(s), nil }
	return cell[Secret]{p, kindString, tagString, same, Secret.String}
}

func integer(p *int) value {
	return cell[int]{p, kindInt, tagPlain, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		return n, orNo(s, err, "a whole number")
	}, strconv.Itoa}
}

func natural(p *uint64) value {
	return cell[uint64]{p, kindInt, tagPlain, func(s string) (uint64, error) {
		n, err := strconv.ParseUint(s, 10, 64)
		return n, orNo(s, err, "a whole number of 0 or more")
	}, func(n uint64) string { return strconv.FormatUint(n, 10) }}
}

func number(p *float64) value {
	return cell[float64]{p, kindFloat, tagPlain, func(s string) (float64, error) {
		x, err := strconv.ParseFloat(s, 64)
		return x, orNo(s, err, "a number")
	}, func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }}
}

func boolean(p *bool) value {
	return cell[bool]{p, kindBool, tagPlain, func(s string) (bool, error) {
		b, err := strconv.ParseBool(s)
		return b, orNo(s, err, "true or false")
	}, strconv.FormatBool}
}

func duration(p *time.Duration) value {
	return cell[time.Duration]{p, kindDuration, tagString, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		return d, orNo(s, err, "a time such as 5s or 2m")
	}, shortDuration}
}

func faults(p *sim.FaultLevel) value {
	return cell[sim.FaultLevel]{p, kindString, tagString, sim.ParseFaultLevel, sim.FaultLevel.String}
}

// orNo is the error of a text that is not what it should be.
func orNo(text string, err error, want string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%.100q is not %s", text, want)
}

// shortDuration writes 2m and not 2m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// list is a value of several texts, separated by commas.
type list struct{ p *[]string }

// Set implements [value].
func (l list) Set(text string) error {
	*l.p = nil
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l.p = append(*l.p, item)
		}
	}
	return nil
}

// String implements [value].
func (l list) String() string {
	if l.p == nil {
		return ""
	}
	items := make([]string, len(*l.p))
	for i, item := range *l.p {
		items[i] = hideUserinfo(item)
	}
	return strings.Join(items, ",")
}

// Type implements [value].
func (l list) Type() string { return kindList }

func (l list) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, item := range *l.p {
		n.Content = append(n.Content, scalar(tagString, hideUserinfo(item)))
	}
	return n
}

// hideUserinfo hides the credentials in a URL. They are not accepted, but must
// not be shown either when somebody tries.
func hideUserinfo(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return s
	}
	if ok {
		scheme += "://"
	}
	return scheme + hidden + rest[at:]
}
