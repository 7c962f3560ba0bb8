// SPDX-License-Identifier: MIT

package front

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Where a parameter may be.
const (
	inPath   = "path"
	inQuery  = "query"
	inHeader = "header"
)

// tenantHeader names the tenant on whose behalf a request is made.
const tenantHeader = "Cray-Tenant-Name"

// parameter is a parameter of an operation.
type parameter struct {
	name, in string
	required bool
	schema   *schema
}

// label says in words which parameter it is.
func (p *parameter) label() string {
	switch p.in {
	case inPath:
		return "path parameter " + p.name
	case inQuery:
		return "query parameter " + p.name
	}
	return "header " + p.name
}

// Params holds the parameters of a request, checked and decoded.
type Params struct {
	list   []parameter
	values []paramValue
}

type paramValue struct {
	set     bool
	text    string
	integer int
	boolean bool
}

// find returns the value of a parameter; one that is not there is not set.
func (p Params) find(name string) paramValue {
	for i := range p.values {
		if p.list[i].name == name {
			return p.values[i]
		}
	}
	return paramValue{}
}

// String returns a parameter as text, and whether it was sent.
func (p Params) String(name string) (string, bool) {
	v := p.find(name)
	return v.text, v.set
}

// Bool returns a parameter of type boolean, and whether it was sent.
func (p Params) Bool(name string) (value, ok bool) {
	v := p.find(name)
	return v.boolean, v.set
}

// Int returns a parameter of type integer, and whether it was sent.
func (p Params) Int(name string) (int, bool) {
	v := p.find(name)
	return v.integer, v.set
}

// Tenant returns the tenant on whose behalf the request is made, or "".
func (p Params) Tenant() string { return p.find(tenantHeader).text }

// Params checks and decodes the parameters of a request: the values of the path
// template's parameters, decoded; the query as it was sent; the header. The
// error is [bos.CodeInvalid].
func (o *Operation) Params(path map[string]string, rawQuery string, header http.Header) (Params, error) {
	p := Params{list: o.params, values: make([]paramValue, len(o.params))}
	if err := o.query(&p, rawQuery); err != nil {
		return Params{}, err
	}
	for i := range o.params {
		d, v := &o.params[i], &p.values[i]
		switch d.in {
		case inPath:
			v.text, v.set = path[d.name]
		case inHeader:
			if err := v.header(d, header); err != nil {
				return Params{}, err
			}
		}
		if !v.set && !d.required {
			continue
		}
		if fault := v.decode(d.schema); fault != "" {
			return Params{}, invalid("%s: %s", d.label(), fault)
		}
	}
	return p, nil
}

// header takes a header. Several that differ are refused: which one counts
// would depend on who reads them.
func (v *paramValue) header(p *parameter, header http.Header) error {
	values := header.Values(p.name)
	if len(values) == 0 {
		return nil
	}
	if slices.ContainsFunc(values, func(other string) bool { return other != values[0] }) {
		return invalid("%s: must not be given more than once", p.label())
	}
	v.text, v.set = values[0], true
	return nil
}

// query takes the parameters from a query. One that can't be decoded is
// refused, whatever is in it: a filter that got lost would mean everything.
func (o *Operation) query(p *Params, rawQuery string) error {
	for i := range len(rawQuery) {
		if c := rawQuery[i]; c <= ' ' || c == 0x7f {
			return invalid("query string: blanks and control characters must be percent-encoded")
		} else if c == ';' {
			return invalid("query string: a semicolon must be percent-encoded")
		}
	}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return invalid("query string: a %% must be followed by two hexadecimal digits")
		}
		i := slices.IndexFunc(o.params, func(d parameter) bool { return d.in == inQuery && d.name == name })
		if i >= 0 {
			p.values[i] = paramValue{set: true, text: value}
		} else if o.closedQuery {
			return invalid("query parameter %s: no such parameter, there are %s", echo(name, mostEcho), o.queryNames())
		}
	}
	return nil
}

// queryNames lists the query parameters of the operation.
func (o *Operation) queryNames() string {
	var names []string
	for _, p := range o.params {
		if p.in == inQuery {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, ", ")
}

// decode checks the text of a parameter and says what is wrong with it, or "".
func (v *paramValue) decode(s *schema) string {
	switch s.kind {
	case kindBoolean:
		text := strings.ToLower(v.text)
		v.boolean = text == "true"
		if !v.boolean && text != "false" {
			return "must be true or false"
		}
	case kindInteger:
		digits, ok := integerDigits(v.text)
		if !ok {
			return "must be an integer in decimal digits"
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return s.outOfRange()
		}
		v.integer = int(n)
		return s.rangeFault(n)
	case kindString, kindArray, kindObject, kindOneOf:
		return v.decodeText(s)
	}
	return ""
}

func (v *paramValue) decodeText(s *schema) string {
	if !utf8.ValidString(v.text) {
		return "must be valid UTF-8"
	}
	return s.textFault([]byte(v.text), utf8.RuneCountInString(v.text))
}

// integerDigits returns the sign and the digits of an integer in a parameter.
// As clients of this API are used to, blanks around it, a plus and single
// underscores between digits are taken too: page_size=+1 is " 1" once decoded.
func integerDigits(text string) (digits string, ok bool) {
	text = strings.TrimSpace(text)
	sign, bare := "", text
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, bare = text[:1], text[1:]
	}
	for group := range strings.SplitSeq(bare, "_") {
		if group == "" || strings.Trim(group, "0123456789") != "" {
			return "", false
		}
	}
	return sign + strings.ReplaceAll(bare, "_", ""), true
}
