# `make up` and `make test` are all a newcomer needs; both install what is missing first.
GO := scripts/go.sh

# All of staticcheck's checks but: ST1000 (a package may document itself in any of its files, and does), ST1005 (an error
# may be a sentence for the user), ST1003 and ST1016-ST1022 (the field's own names and comment forms).
CHECKS := all,-ST1000,-ST1003,-ST1005,-ST1016,-ST1020,-ST1021,-ST1022

.PHONY: help setup build up down clean test stories-long lint bench soak conformance horizon

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 13

setup: ## install what running the cloud needs, from the distribution's packages
	@scripts/setup.sh run

build: ## build the programs into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/ ./cmd/...
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o bin/ ./internal/lab/tenantimage/cloudstart

up: setup build ## start the cloud with its virtual rack and a first server
	bin/ingot up

down: ## stop it
	bin/ingot down

clean: ## forget it, with all data
	bin/ingot clean

test: ## everything that CI runs
	@scripts/setup.sh horizon
	$(MAKE) lint
	$(GO) test -timeout 30m ./...

stories-long: ## the stories with those that CI has no time for
	@scripts/setup.sh test
	INGOT_STORIES=long $(GO) test -timeout 2h -count=1 -v -run TestStories ./test

lint: ## formatting, and what the compiler does not see
	@unformatted=$$(git ls-files '*.go' | xargs $$($(GO) env GOROOT)/bin/gofmt -l); test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck -checks '$(CHECKS)' ./...

bench: setup build ## speed and size, as ratios in one run: docs/benchmarks.md
	@scripts/setup.sh test
	CGO_ENABLED=0 $(GO) run ./test/bench

MINUTES := 30

soak: ## random networks against a model of what is promised, and broken requests at every route, for MINUTES each
	INGOT_SOAK=$(MINUTES) $(GO) test -count=1 -v -timeout 0 -run TestReachabilityIsWhatNeutronPromises ./internal/driver/ovn/topology
	INGOT_SOAK=$(MINUTES) $(GO) test -count=1 -timeout 0 -run TestBrokenRequests ./internal/api/...

RUN := all

conformance: ## other people's tests: Tempest, every suite, or RUN='^tempest\.api\.image'
	@scripts/setup.sh conformance
	$(GO) test -timeout 3h -count 1 -v ./test/conformance -tempest.run '$(RUN)'

horizon: ## OpenStack's own dashboard in a browser: all of it, RUN='^story launch', or RACK=1: a booting machine's console
	@scripts/setup.sh horizon
	$(GO) test -timeout 1h -count 1 -v -run 'TestHorizon$(if $(RACK),OnARack)$$' ./test/conformance -horizon.run '$(RUN)' -horizon.keep $(CURDIR)/build/horizon
