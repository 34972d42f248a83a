# What a developer and a user do every day; `make help` lists it.
SHELL   := /bin/bash
GO      ?= go
TAGS    := gocv,gocv_specific_modules,gocv_videoio
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL     = $(GO) tool -modfile=tools/$(1)/go.mod $(1)

# Settings of `make run`: FRAMES=20 ends after 20 results, ARGS="..." is handed to `glimpsed run`.
FRAMES ?= 0
ARGS   ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## get what building and running needs (Debian packages, the LiteRT runtime)
	@scripts/setup build

.PHONY: build
build: setup ## build bin/glimpsed with the runtime beside it
	@mkdir -p bin
	@$(GO) build -tags $(TAGS) -trimpath -ldflags '$(LDFLAGS)' -o bin/glimpsed ./cmd/glimpsed
	@cmp -s .cache/litert/libLiteRt.so bin/libLiteRt.so || cp .cache/litert/libLiteRt.so bin/libLiteRt.so

.PHONY: run
run: build ## set up, build, and look through the camera or at demo pictures; FRAMES=N ends after N results
	@scripts/setup demo
	@scripts/run $(FRAMES) $(ARGS)

.PHONY: test
test: setup ## set up and run every test, under the race detector
	@scripts/setup demo test
	@scripts/test -tags $(TAGS)

.PHONY: soak
soak: build ## run at full speed for a long time and watch memory, goroutines and descriptors; SOAK=1h
	@GLIMPSED_SOAK=$(or $(SOAK),1h) $(GO) test -tags $(TAGS) -count=1 -timeout 0 -run '^TestSoak' -v ./daemon

.PHONY: chaos
chaos: build ## kill and cut broker, network and daemon at random and look whether every result arrives; CYCLES=1000
	@scripts/setup test
	@scripts/chaos $(or $(CYCLES),1000)

.PHONY: bench
bench: build ## Go benchmarks of every package
	@$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchmem ./...

.PHONY: lint
lint: setup ## check formatting, Go and shell code
	@$(call TOOL,golangci-lint) run --build-tags $(TAGS) ./...
	@command -v shellcheck >/dev/null || scripts/setup lint
	@shellcheck .ci/run $$(git ls-files scripts | xargs -r grep -lE '^#!.*(bash|/sh)')

.PHONY: examples
examples: ## write examples/glimpsed.yaml from the defaults in the code
	@$(GO) run ./cmd/glimpsed config defaults >examples/glimpsed.yaml.part
	@mv examples/glimpsed.yaml.part examples/glimpsed.yaml

.PHONY: clean
clean: ## remove what was built; what was fetched stays in .cache
	@rm -rf bin dist
