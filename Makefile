# SPDX-License-Identifier: MIT
#
# A thin list of commands; each can as well be typed by hand.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 60s
# The traces wait, for the most part.
TRACES_AT_ONCE ?= 16
FUZZ ?= .
ROUNDS ?= 10000
KILLS ?= 200
CRASH_NODES ?= 1000
CLUSTER_NODES ?= 500
OUTAGE_NODES ?= 500

.DEFAULT_GOAL := help
.PHONY: help build demo test race race-test crash-test cluster-test upgrade-test outage-test browser-test conformance-traces fuzz vet lint api-lint fmt man dist dist-check helm-test image-test alerts-test generate generate-check

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

race-test: ## Let clients do contradictory things at once, ROUNDS (10000) times for each race
	TEST_RACE_ROUNDS=$(ROUNDS) $(GO) test -count=1 -v -timeout 3h ./test/race

crash-test: ## Kill a server KILLS (200) times while it reboots CRASH_NODES (1000); break its disk
	TEST_CRASH_KILLS=$(KILLS) TEST_CRASH_NODES=$(CRASH_NODES) $(GO) test -count=1 -v -timeout 3h ./test/crash

cluster-test: ## Kill, stop, cut off and restart members of a cluster with CLUSTER_NODES (500) nodes
	TEST_CLUSTER_NODES=$(CLUSTER_NODES) TEST_CLUSTER_PAUSE=30 TEST_CLUSTER_SECONDS=180 TEST_CLUSTER_LENIENCY=1 \
		$(GO) test -count=1 -v -timeout 2h ./test/cluster

upgrade-test: ## Replace a cluster of an earlier build, FORMER (the last before the store's schema), by this one
	tools/upgrade $(FORMER)

outage-test: ## Take each service away for a minute, in five ways, in the midst of a reboot of OUTAGE_NODES (500)
	TEST_OUTAGE_ALL=1 TEST_OUTAGE_NODES=$(OUTAGE_NODES) TEST_OUTAGE_SECONDS=60 TEST_OUTAGE_LENIENCY=1 \
		$(GO) test -count=1 -v -timeout 3h -parallel 4 ./test/outage

browser-test: build ## Drive the dashboard in a headless Chromium; SCREENSHOTS=folder keeps pictures
	test/browser/prepare
	BOSD=$(CURDIR)/bin/bosd SCREENSHOTS=$(SCREENSHOTS) node --test --test-concurrency=1 $(sort $(wildcard test/browser/*.test.mjs))

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

man: ## Write the man pages of bosd and bos into bin/man/
	$(GO) run ./cmd/bosd man bin/man
	$(GO) run ./cmd/bos man bin/man

dist: ## Make the packages in dist/: tarballs, bills of materials, checksums; VERSION is what git describes
	$(GO) run -C tools ./dist --version '$(VERSION)'

dist-check: ## Test what makes the packages; make them twice and compare
	$(GO) test -C tools ./dist
	$(GO) run -C tools ./dist --version '$(VERSION)'
	$(GO) run -C tools ./dist --version '$(VERSION)' --out ../bin/dist-again >/dev/null
	cmp dist/SHA256SUMS bin/dist-again/SHA256SUMS
	cd dist && sha256sum --check --quiet SHA256SUMS
	rm -rf bin/dist-again

helm-test: ## Render the chart in each shape and hold it against Kubernetes' schemas; check the image and the service files
	$(GO) vet -C deploy .
	$(GO) test -C deploy -count=1 .

image-test: ## Build the image as a builder does, without a registry, and run it confined (as root, on Debian)
	tools/image-test

alerts-test: ## Check and test the alert rules (needs promtool, of Debian's package prometheus)
	promtool check rules deploy/prometheus/alerts.yaml
	promtool test rules deploy/prometheus/alerts_test.yaml

generate: ## Generate code anew
	$(GO) generate ./...

generate-check: ## Fail if generated code is stale
	$(GO) generate ./...
	git diff --exit-code -- '*.gen.go'
