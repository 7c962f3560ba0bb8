// SPDX-License-Identifier: MIT

package front

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// compiler turns the parsed document into operations and schemas. Schemas that
// have a name are compiled once.
type compiler struct {
	root    *yaml.Node
	schemas map[string]*schema
}

// operations compiles all operations in the order of the document.
func (c *compiler) operations() ([]*Operation, error) {
	var all []*Operation
	err := each(member(c.root, "paths"), func(path string, item *yaml.Node) error {
		return each(item, func(method string, node *yaml.Node) error {
			switch method {
			case "get", "put", "post", "patch", "delete", "head", "options", "trace":
			default:
				return nil
			}
			o, err := c.operation(item, node)
			if err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
			o.Method, o.Path = strings.ToUpper(method), path
			all = append(all, o)
			return nil
		})
	})
	if err == nil && len(all) == 0 {
		err = errors.New("there are no operations")
	}
	return all, err
}

func (c *compiler) operation(item, node *yaml.Node) (*Operation, error) {
	o := &Operation{}
	if id := member(node, "operationId"); id != nil {
		o.ID = id.Value
	}
	if o.ID == "" {
		return nil, errors.New("there is no operationId")
	}
	if closed := member(node, "x-bos-closed-query"); closed != nil {
		o.closedQuery = closed.Value == "true"
	}
	for _, list := range []*yaml.Node{member(item, "parameters"), member(node, "parameters")} {
		if list == nil {
			continue
		}
		for _, n := range list.Content {
			p, err := c.parameter(n)
			if err != nil {
				return nil, err
			}
			o.params = append(o.params, p)
		}
	}
	return o, c.body(o, node)
}

func (c *compiler) parameter(n *yaml.Node) (parameter, error) {
	n, _, err := resolve(c.root, n)
	if err != nil {
		return parameter{}, err
	}
	var p parameter
	err = each(n, func(key string, v *yaml.Node) error {
		switch key {
		case "name":
			p.name = v.Value
		case "in":
			p.in = v.Value
		case "required":
			p.required = v.Value == "true"
		case "schema":
			p.schema, err = c.schema(v)
			return err
		case "description", "example":
		default:
			return fmt.Errorf("line %d: %s of a parameter is not supported", v.Line, key)
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	if !slices.Contains([]string{inPath, inQuery, inHeader}, p.in) || p.name == "" || p.schema == nil {
		return p, fmt.Errorf("parameter %q: name, schema and a place that is supported are needed", p.name)
	}
	if !slices.Contains([]kind{kindString, kindInteger, kindBoolean}, p.schema.kind) {
		return p, fmt.Errorf("parameter %q: arrays and objects are not supported", p.name)
	}
	return p, nil
}

// body compiles the request body of an operation, if it has one.
func (c *compiler) body(o *Operation, node *yaml.Node) error {
	body := member(node, "requestBody")
	if body == nil {
		return nil
	}
	if required := member(body, "required"); required != nil {
		o.bodyNeeded = required.Value == "true"
	}
	content := member(member(member(body, "content"), "application/json"), "schema")
	if content == nil {
		return errors.New("requestBody: there is no schema for application/json")
	}
	limit := member(node, "x-bos-max-body")
	if limit == nil {
		return errors.New("requestBody: x-bos-max-body is needed")
	}
	var err error
	if o.maxBody, err = strconv.ParseInt(limit.Value, 10, 64); err != nil || o.maxBody <= 0 {
		return errors.New("x-bos-max-body: a positive integer is needed")
	}
	o.body, err = c.schema(content)
	return err
}

// schema compiles a schema or a reference to one.
func (c *compiler) schema(n *yaml.Node) (*schema, error) {
	n, ref, err := resolve(c.root, n)
	if err != nil {
		return nil, err
	}
	if s := c.schemas[ref]; s != nil {
		return s, nil
	}
	s := &schema{
		maxLength: unlimited, maxItems: unlimited, maxMembers: unlimited,
		minimum: math.MinInt64, maximum: math.MaxInt64,
	}
	if ref != "" {
		c.schemas[ref] = s
	}
	if member(n, "oneOf") != nil {
		s.kind = kindOneOf
	} else if s.kind, err = kindOf(n); err != nil {
		return nil, err
	}
	// The fields come first: what is required refers to them.
	if err := c.fields(s, member(n, "properties")); err != nil {
		return nil, err
	}
	err = each(n, func(key string, v *yaml.Node) error {
		if err := c.keyword(s, key, v); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.kind == kindArray && s.items == nil {
		return nil, fmt.Errorf("line %d: an array needs items", n.Line)
	}
	return s, nil
}

func kindOf(n *yaml.Node) (kind, error) {
	t := member(n, "type")
	if t == nil {
		return 0, fmt.Errorf("line %d: a schema needs a type", n.Line)
	}
	switch t.Value {
	case "string":
		return kindString, nil
	case "integer":
		return kindInteger, nil
	case "boolean":
		return kindBoolean, nil
	case "array":
		return kindArray, nil
	case "object":
		return kindObject, nil
	}
	return 0, fmt.Errorf("line %d: type %s is not supported in requests", t.Line, t.Value)
}

// fields compiles the members that an object lists.
func (c *compiler) fields(s *schema, properties *yaml.Node) error {
	s.fields = map[string]*field{}
	return each(properties, func(name string, v *yaml.Node) error {
		if len(s.order) == 64 {
			return fmt.Errorf("line %d: an object can have 64 fields", v.Line)
		}
		sub, err := c.schema(v)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f := &field{name: name, bit: 1 << len(s.order), schema: sub}
		s.fields[name] = f
		s.order = append(s.order, f)
		return nil
	})
}

// keyword compiles one keyword of a schema. One that is not known is an error,
// so that the document never promises a check that is not made.
func (c *compiler) keyword(s *schema, key string, v *yaml.Node) (err error) {
	switch key {
	case "type", "properties", "description", "example", "default", "writeOnly":
		return nil
	case "nullable":
		s.nullable = v.Value == "true"
	case "readOnly":
		s.readOnly = v.Value == "true"
	case "x-bos-message":
		s.message = v.Value
	case "enum":
		for _, value := range v.Content {
			s.enum = append(s.enum, value.Value)
		}
	case "pattern":
		s.match, err = matcherFor(v.Value)
		if s.message == "" {
			s.message = "must match the pattern " + v.Value
		}
	case "minimum":
		s.minimum, err = strconv.ParseInt(v.Value, 10, 64)
	case "maximum":
		s.maximum, err = strconv.ParseInt(v.Value, 10, 64)
	case "minLength":
		s.minLength, err = strconv.Atoi(v.Value)
	case "maxLength":
		s.maxLength, err = strconv.Atoi(v.Value)
	case "minItems":
		s.minItems, err = strconv.Atoi(v.Value)
	case "maxItems":
		s.maxItems, err = strconv.Atoi(v.Value)
	case "minProperties":
		s.minMembers, err = strconv.Atoi(v.Value)
	case "maxProperties":
		s.maxMembers, err = strconv.Atoi(v.Value)
	case "items":
		s.items, err = c.schema(v)
	case "additionalProperties":
		return c.additional(s, v)
	case "required":
		s.required, err = s.bits(v)
	case "anyOf":
		return s.eitherOf(v)
	case "oneOf":
		return c.alternatives(s, v)
	default:
		if !strings.HasPrefix(key, "x-") {
			err = fmt.Errorf("line %d: this keyword is not supported in requests", v.Line)
		}
	}
	return err
}

func (c *compiler) additional(s *schema, v *yaml.Node) (err error) {
	if v.Kind == yaml.ScalarNode {
		s.open = v.Value == "true"
		return nil
	}
	s.open = true
	s.others, err = c.schema(v)
	return err
}

// bits returns the set of the fields that a list names.
func (s *schema) bits(v *yaml.Node) (set uint64, err error) {
	for _, name := range v.Content {
		f := s.fields[name.Value]
		if f == nil {
			return 0, fmt.Errorf("line %d: there is no field %s", name.Line, name.Value)
		}
		set |= f.bit
	}
	return set, nil
}

// eitherOf compiles alternatives which only say what is required.
func (s *schema) eitherOf(v *yaml.Node) error {
	for _, alternative := range v.Content {
		required := member(alternative, "required")
		if s.kind != kindObject || required == nil || len(alternative.Content) != 2 {
			return fmt.Errorf("line %d: only alternatives of required fields are supported", alternative.Line)
		}
		set, err := s.bits(required)
		if err != nil {
			return err
		}
		s.either = append(s.either, set)
	}
	return nil
}

func (c *compiler) alternatives(s *schema, v *yaml.Node) error {
	kinds := map[kind]bool{}
	for _, n := range v.Content {
		sub, err := c.schema(n)
		if err != nil {
			return err
		}
		if sub.nullable || sub.kind == kindOneOf {
			return fmt.Errorf("line %d: an alternative can't be null or have alternatives", n.Line)
		}
		kinds[sub.kind] = true
		s.oneOf = append(s.oneOf, sub)
	}
	s.byKind = len(kinds) == len(s.oneOf)
	if s.message == "" {
		s.message = "must match exactly one of its alternatives"
	}
	return nil
}
