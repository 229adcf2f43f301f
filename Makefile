# Everything that is done with this repository. `make` alone prints the list.

SHELL := /bin/sh
GO ?= go

# One setting for all that is built without the race detector, so that it shares the build cache with the control plane.
STATIC := CGO_ENABLED=0 GOFLAGS="$(GOFLAGS) -trimpath"
STRIPPED := -ldflags="-s -w"

# Builds what is missing, with progress on standard error, and prints the folder on standard output.
CONTROLPLANE := $(GO) run ./hack/build set controlplane
TOOLS := $(GO) run ./hack/build set tools
HELM := $(GO) run ./hack/build set helm
TERRAFORM := $(GO) run ./hack/build set terraform
NODE := $(GO) run ./hack/build set node
CONTAINERS := $(GO) run ./hack/build set containers
# Runs a command that is silent for long, and says every ten seconds that it is alive.
STEP := $(GO) run ./hack/build step

# Packages tested at the same time. Many of them run a control plane of their own, which needs about a core and 500 MB.
TEST_PARALLEL ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); [ "$$n" -gt 4 ] && n=4; echo "$$n")
# What is tested, and further flags of go test: make test PACKAGES=./webhooks/... TEST_FLAGS=-run=TestVote
PACKAGES ?= ./...
TEST_FLAGS ?=
# How much gotestsum tells.
TEST_FORMAT ?= standard-quiet
# How long each fuzz target runs.
FUZZ_TIME ?= 10s
# How many runs with a fault `make faults` plays at least. The tests play a sample of them.
FAULT_RUNS ?= 500
# Where `make bench` writes its results as JSON.
BENCH_OUT ?= bin/bench.json
export BENCH_OUT

# Writes the same image as the Dockerfile. The certificates are those of this machine.
IMAGE := $(GO) run ./hack/image -certificates /etc/ssl/certs/ca-certificates.crt
IMAGE_NAME ?= signoff:latest

.DEFAULT_GOAL := help

.PHONY: help
help: ## Print this list.
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: ## Play the first story on a real control plane, with real kubectl as several people; KEEP=1 leaves it running.
	@dir=$$($(CONTROLPLANE)) && mkdir -p bin && \
	$(STEP) "compiling the demo" env $(STATIC) $(GO) build $(STRIPPED) -o bin/ . ./cmd/kubectl-signoff ./test/demo && \
	KUBEBUILDER_ASSETS="$$dir" bin/demo

.PHONY: test
test: ## Run all tests against a real control plane, with the race detector.
	@dir=$$($(CONTROLPLANE)) && tools=$$($(TOOLS) gotestsum) && $(HELM) >/dev/null && $(TERRAFORM) >/dev/null && \
	$(STEP) "compiling for the tests" sh hack/compile-tests $(PACKAGES) && \
	KUBEBUILDER_ASSETS="$$dir" "$$tools/gotestsum" --format=$(TEST_FORMAT) -- -race -count=1 -timeout=30m -p=$(TEST_PARALLEL) $(TEST_FLAGS) $(PACKAGES)

.PHONY: faults
faults: ## Kill the operator, the API server and the host of a call at every point of the life of a request, in FAULT_RUNS runs at least.
	@$(MAKE) test PACKAGES=./test/faults TEST_FLAGS=-timeout=150m TEST_FORMAT=standard-verbose FAULT_RUNS=$(FAULT_RUNS)

.PHONY: e2e
e2e: ## Install the chart on a real node in this machine and play stories against it; needs root, and says what else it lacks.
	@mkdir -p bin && $(STEP) "compiling the end-to-end test" env $(STATIC) $(GO) build $(STRIPPED) -o bin/ ./test/e2e && bin/e2e -check && \
	dir=$$($(CONTROLPLANE)) && $(NODE) >/dev/null && $(CONTAINERS) >/dev/null && $(HELM) >/dev/null && \
	$(STEP) "compiling the operator and the plugin" env $(STATIC) $(GO) build $(STRIPPED) -o bin/ . ./cmd/kubectl-signoff ./test/e2e/pod && \
	$(GO) run ./hack/image -name localhost/pod:1 -out bin/pod.image.tar bin/pod && \
	$(IMAGE) -name localhost/signoff:1 -name localhost/signoff:2 -out bin/signoff.image.tar bin/signoff && \
	KUBEBUILDER_ASSETS="$$dir" bin/e2e

.PHONY: inspect
inspect: ## Test what agents use with the inspector of the Model Context Protocol; only where there is node.
	@sh hack/inspect-mcp

.PHONY: bench
bench: ## Measure decision, admission, lifecycle and memory, and write the results to BENCH_OUT as JSON.
	@dir=$$($(CONTROLPLANE)) && mkdir -p bin && \
	$(STEP) "compiling the benchmark" env $(STATIC) $(GO) build $(STRIPPED) -o bin/ . ./test/bench && \
	KUBEBUILDER_ASSETS="$$dir" bin/bench

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_TIME.
	@FUZZ_TIME=$(FUZZ_TIME) sh hack/fuzz

.PHONY: build
build: ## Build the operator into bin/signoff, and the plugin of kubectl into bin/kubectl-signoff.
	@mkdir -p bin && $(STEP) "compiling the operator and the plugin" env $(STATIC) $(GO) build $(STRIPPED) -o bin/ . ./cmd/kubectl-signoff

.PHONY: image
image: build ## Write the container image to bin/signoff.image.tar, without Docker, for `docker load`, `podman load` or `ctr images import`.
	@$(IMAGE) -name $(IMAGE_NAME) -out bin/signoff.image.tar bin/signoff

.PHONY: generate
generate: ## Write everything that is made from the code: deep copies, CRDs, RBAC, the references of the API and of the metrics.
	@tools=$$($(TOOLS) controller-gen crd-ref-docs) && TOOLS="$$tools" sh hack/generate

.PHONY: fmt
fmt: ## Format the code and sort its imports.
	@tools=$$($(TOOLS) golangci-lint) && $(STATIC) "$$tools/golangci-lint" fmt

.PHONY: lint
lint: ## Run the linters of .golangci.yml, each of which says there why it is on.
	@tools=$$($(TOOLS) golangci-lint) && $(STEP) "linting" env $(STATIC) "$$tools/golangci-lint" run --allow-parallel-runners

.PHONY: verify
verify: ## Regenerate and check everything that is committed, and fail on any difference or untracked file.
	@tools=$$($(TOOLS)) && TOOLS="$$tools" $(STATIC) sh hack/verify

.PHONY: controlplane
controlplane: ## Build etcd, the API server and the other programs that tests and demo run, and print their folder.
	@$(CONTROLPLANE)

.PHONY: clean
clean: ## Remove what was built into bin/; the cached control plane and tools stay.
	rm -rf bin
