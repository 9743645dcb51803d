# The commands of this project. `make help` lists them.
SHELL := /bin/bash
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin
export CGO_ENABLED := 0

.PHONY: help build cloud cloud-down cloud-clean test test-full lint bench tempest api-support

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## build bin/kilonova
	@. deploy/go.sh && need_go && set -x && go build -trimpath -ldflags='-s -w' -o bin/kilonova ./cmd/kilonova

cloud: ## make this host a cloud and boot a first guest (root)
	@deploy/cloud.sh up

cloud-down: ## stop that cloud; its data stay
	@deploy/cloud.sh down

cloud-clean: ## stop it and remove its data
	@deploy/cloud.sh clean

test: ## run all that this host allows
	@test/run.sh

test-full: ## the same, and what takes long: real guests, the stock client, mangled requests
	@test/run.sh full

tempest: ## run the distribution's Tempest against `kilonova dev`
	@test/compat/tempest/run.sh

lint: ## golangci-lint, pinned in tools/go.mod
	@. deploy/go.sh && need_go && go tool -modfile=tools/go.mod golangci-lint run ./...

bench: ## benchmarks, as JSON
	@test/bench/run.sh

api-support: build ## write docs/api-support.md from the routes
	@{ cat docs/api-support.head.md; bin/kilonova routes; } > docs/api-support.md
