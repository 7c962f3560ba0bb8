// SPDX-License-Identifier: MIT

// Package apitypes holds the Go types of the API's requests and answers,
// generated from the OpenAPI document. They are for clients and tests; the
// server decodes into the domain's own types.
//
// Run go generate after a change of the document. The generator is pinned in
// the tools module; a second run changes nothing, so that a difference shows
// that the types are stale.
package apitypes

//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -config oapi-codegen.yaml ../openapi.yaml
