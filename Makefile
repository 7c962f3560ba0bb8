# SPDX-License-Identifier: MIT
#
# A thin list of commands; each can as well be typed by hand.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 60s
# The traces wait, for the most part.
TRACES_AT_ONCE ?= 16
FUZZ ?= .

.DEFAULT_GOAL := help
.PHONY: help build demo test race conformance-traces fuzz vet lint api-lint fmt generate generate-check

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bosd and bos into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X bos/internal/version.linked=$(VERSION)' -o bin/ ./cmd/bosd ./cmd/bos

demo: ## Boot a simulated cluster in front of your eyes
	$(GO) run ./cmd/bosd demo

test: ## Run the tests
	$(GO) test ./...

race: ## Run the tests with the race detector
	$(GO) test -race ./...

conformance-traces: ## Play the recorded traces of the operators over real HTTP, many at once
	$(GO) test -count=1 -tags traces -parallel $(TRACES_AT_ONCE) -run 'TestTracesForReal' ./test/conformance

fuzz: ## Run each fuzz target for FUZZTIME (60s); FUZZ is a pattern for packages and names
	tools/fuzz '$(FUZZTIME)' '$(FUZZ)'

vet: ## Run go vet
	$(GO) vet ./...

lint: ## Run the linters
	$(TOOL) golangci-lint run ./...

api-lint: ## Lint the API document (needs Node.js)
	npm ci --prefix tools/apilint --ignore-scripts --no-audit --no-fund
	REDOCLY_TELEMETRY=off tools/apilint/node_modules/.bin/redocly lint --config tools/apilint/redocly.yaml internal/api/openapi.yaml

fmt: ## Format the code
	gofmt -w cmd internal test

generate: ## Generate code anew
	$(GO) generate ./...

generate-check: ## Fail if generated code is stale
	$(GO) generate ./...
	git diff --exit-code -- '*.gen.go'
