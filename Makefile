# What can be done with this tree; `make` alone lists it. Every cargo step shares one target folder and the
# same compiler flags, so that no step builds again what another has built.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

STEP := scripts/step
TOOLS := .tools/current/bin

# make run PROFILE=fast ARGS="--print-config"
PROFILE ?=
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install the pinned tools under .tools/ (nothing else is touched)
	@scripts/setup

.PHONY: run
run: ## Build and start rollcall with a demo app (PROFILE=fast for scaled durations, ARGS for more flags)
	@$(STEP) "build: rollcall and rollcallctl" cargo build --locked --bin rollcall --bin rollcallctl
	@cargo run -q --locked --bin rollcall -- --demo $(if $(PROFILE),--profile $(PROFILE)) $(ARGS)

.PHONY: demo
demo: build ## Play the story of two users in this terminal
	@python3 scripts/demo.py $(ARGS)

.PHONY: cluster
cluster: build setup ## Start Redis, NATS and two of each service (PROFILE=fast, ARGS="--instances 3 --foreground")
	@python3 scripts/cluster.py start $(if $(PROFILE),--profile $(PROFILE)) $(ARGS)

.PHONY: cluster-status
cluster-status: ## Show the processes of the cluster
	@python3 scripts/cluster.py status $(ARGS)

.PHONY: cluster-stop
cluster-stop: ## Stop the cluster (ARGS=--wipe also removes its data)
	@python3 scripts/cluster.py stop $(ARGS)

.PHONY: build
build: ## Build the binaries
	@$(STEP) "build: the binaries" cargo build --locked --workspace --bins

# Binaries and tests are built at once: alone, the binaries would be built without the features that tests add
# to shared dependencies, and then again with them. Claims mostly wait, so four at once fit two cores.
.PHONY: test
test: setup ## Run all tests
	@$(STEP) "browser: one to test the playground in" scripts/setup-chromium
	@$(STEP) "build: the binaries and the tests" cargo build --locked --workspace --lib --bins --tests --examples
	@$(STEP) "test: all packages" scripts/test --workspace
	@for deployment in node cluster; do \
	    RUST_TEST_THREADS=4 ROLLCALL_TEST_DEPLOYMENT=$$deployment $(STEP) "test: the claims on another deployment: $$deployment" \
	        scripts/test --workspace --test conformance || exit; \
	done
	@$(STEP) "test: a cluster on this machine" python3 scripts/cluster.py selftest

.PHONY: playground-picture
playground-picture: build ## Make docs/playground.png, the picture of the README, anew
	@scripts/setup-chromium
	@ROLLCALL_PLAYGROUND_PICTURE=$(CURDIR)/docs/playground.png \
	    $(STEP) "picture: docs/playground.png" scripts/test --package rollcall-playground the_picture_of_the_readme

.PHONY: test-redis
test-redis: setup ## Run the tests of the store on Debian's Redis too
	@server=$$(scripts/setup-redis) && ROLLCALL_REDIS_SERVER=$$server \
	    $(STEP) "test: the store on $$server" scripts/test --package rollcall-store

.PHONY: verify
verify: setup ## Check format, lints, docs, dependencies, contracts and architecture
	@$(STEP) "format: rustfmt changes nothing" cargo fmt --all --check
	@$(STEP) "contracts: buf lint" $(TOOLS)/buf lint
	@$(STEP) "contracts: nothing of proto/contracts.binpb is broken" \
	    $(TOOLS)/buf breaking --against proto/contracts.binpb
	@$(STEP) "dependencies: fetch" cargo fetch --locked
	@$(STEP) "dependencies: bans, licences, sources" $(TOOLS)/cargo-deny --locked check --allow unused-wrapper bans licenses sources
	@$(STEP) "architecture: the rules of the tree" scripts/test --workspace --test architecture
	@$(STEP) "lints: clippy, warnings are errors" cargo clippy --locked --workspace --all-targets -- -D warnings
	@$(STEP) "docs: rustdoc, warnings are errors" \
	    env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps

.PHONY: contracts
contracts: setup ## Write proto/contracts.binpb, which `make verify` holds later contracts against
	@$(STEP) "contracts: buf build" $(TOOLS)/buf build --exclude-source-info --output proto/contracts.binpb

.PHONY: audit
audit: setup ## Look for security advisories about the dependencies (fetches their database)
	@$(STEP) "audit: advisories" $(TOOLS)/cargo-deny --locked check advisories

.PHONY: fmt
fmt: ## Format the code
	@cargo fmt --all

.PHONY: clean
clean: ## Remove what was built and the tools
	@cargo clean
	@rm -rf .tools
