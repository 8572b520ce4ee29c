# Every target sets up what it needs by itself: the Python environment, an engine, the images.
# Safe to run twice, and twice at once; quick when there is nothing to do.

.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
WORKERS ?= 4
PYTEST_ARGS ?=

BIN := .venv/bin
READY := .venv/.stamp
DEMO_IMAGES := quay.io/prometheus/prometheus:v3.5.0 quay.io/thanos/thanos:v0.38.0
EXAMPLE_IMAGES := $(DEMO_IMAGES) docker.io/jaegertracing/all-in-one:1.62.0 ghcr.io/google/cadvisor:v0.53.0
BENCH_IMAGES := docker.io/library/busybox:1.36
BENCH_ARGS ?=
# How often `make soak` does what `make test` does a few times, and always with the same dice; these are new, and
# E2E_SOAK_SEED=... gives them again.
SOAK := E2E_SOAK_EXPLORE=1 E2E_SOAK_KILLS=50 E2E_SOAK_DELETE_KILLS=20 E2E_SOAK_STRIKES=100 E2E_SOAK_TROUBLE=100 \
	E2E_SOAK_STORM_SECONDS=10 E2E_SOAK_SWAPS=60 E2E_SOAK_CONTAINERS=100 E2E_SOAK_ENGINE_RESTARTS=10 \
	E2E_SOAK_EXAMPLES=3000 E2E_SOAK_MESSAGES=500 E2E_SOAK_STRIDE=1 E2E_SOAK_PATIENCE=600 \
	E2E_SOAK_TIMEOUT=3600 E2E_TEST_NETWORKS=200
SOAK_ARGS ?=
IMAGE_ARGS ?=

.PHONY: help demo run-example test test-image soak bench bench-peers bench-compare lint audit sbom generate schema images image \
	engine environment clean

help: ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: engine ## the Thanos story on real containers, from manifests in a folder
	@$(BIN)/python tools/images.py $(DEMO_IMAGES)
	@$(BIN)/python examples/demo.py

run-example: engine ## Thanos, monitored and traced, with its pages in the browser, until Ctrl+C
	@$(BIN)/python tools/images.py $(EXAMPLE_IMAGES)
	@$(BIN)/python examples/thanos/standalone.py

test: images image packages-for-tests ## all tests, on the real engine (WORKERS=4, PYTEST_ARGS=-x)
	$(BIN)/python -m tests.again -n $(WORKERS) tests $(PYTEST_ARGS)

test-image: images ## the scenarios with the controller in a container, from here and from a container (PYTEST_ARGS=-x)
	$(BIN)/python -m tests.contained host -n $(WORKERS) tests/scenarios $(PYTEST_ARGS)
	$(BIN)/python -m tests.contained beside -n $(WORKERS) tests/scenarios $(PYTEST_ARGS)

soak: images ## the fault suite for longer (SOAK_ARGS="-k kills", E2E_SOAK_SEED=...)
	$(SOAK) $(BIN)/pytest -n $(WORKERS) --timeout 3600 tests/faults tests/contract/test_many_environments.py $(SOAK_ARGS)

bench: image ## what it costs, beside the engine's own floor (BENCH_ARGS=...)
	@$(BIN)/python tools/images.py $(BENCH_IMAGES)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-peers: engine ## the same beside Compose, testcontainers and the Go framework e2e (BENCH_ARGS=...)
	@$(BIN)/python tools/images.py $(BENCH_IMAGES) $(DEMO_IMAGES)
	@$(BIN)/python tools/peers.py
	$(BIN)/python -m benchmarks --peers $(BENCH_ARGS)

bench-compare: environment ## is the newer of two runs slower? (OLD=....json NEW=....json)
	@$(BIN)/python -m benchmarks.compare $(OLD) $(NEW)

lint: environment ## style, types, import contracts, generated code, protobuf
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=tools $(BIN)/mypy --package setup
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive proto controller sdk e2edb 2>/dev/null  # there it only warns of `nosec`
	$(BIN)/python tools/generate.py --check
	$(BIN)/buf lint proto

audit: image ## known weaknesses: in what is locked, in our code, in the image (where scanners are)
	@$(BIN)/python tools/audit.py

sbom: image ## what the image is made of: build/e2e-controller.cdx.json
	@$(BIN)/python tools/sbom.py

generate: environment ## write protobuf code, JSON Schema and the synchronous SDK
	$(BIN)/python tools/generate.py

schema: generate ## the JSON Schema of the manifests, which `generate` writes
	@:

images: engine ## every image that the tests run: pulled, or built where no registry answers
	@$(BIN)/python tools/images.py --all

image: engine ## the controller's image, as e2e-controller:dev (IMAGE_ARGS="--base ... --tag ...")
	@$(BIN)/python tools/image.py $(IMAGE_ARGS)

packages-for-tests: engine
	@$(BIN)/python tools/packages_for_tests.py

engine: environment ## a container engine that answers
	@$(BIN)/python tools/engine.py

environment: $(READY) ## .venv, from requirements.lock
	@:

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) tools/python_environment.py

clean: ## remove .venv and the caches; images and engine stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
