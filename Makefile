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
BENCH_IMAGES := docker.io/library/busybox:1.36
BENCH_ARGS ?=

.PHONY: help demo test soak bench lint generate schema images engine environment clean

help: ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: engine ## the Thanos story on real containers, from manifests in a folder
	@$(BIN)/python tools/images.py $(DEMO_IMAGES)
	@$(BIN)/python examples/demo.py

test: images ## all tests, on the real engine (WORKERS=4, PYTEST_ARGS=-x)
	$(BIN)/pytest -n $(WORKERS) tests $(PYTEST_ARGS)

soak: images ## longer tests of what wears out: many environments
	E2E_TEST_NETWORKS=200 $(BIN)/pytest -n 0 tests/contract/test_many_environments.py $(PYTEST_ARGS)

bench: engine ## what it costs, beside the engine's own floor (BENCH_ARGS=...)
	@$(BIN)/python tools/images.py $(BENCH_IMAGES)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lint: environment ## style, types, import contracts, generated code, protobuf
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=tools $(BIN)/mypy --package setup
	$(BIN)/lint-imports
	$(BIN)/python tools/generate.py --check
	$(BIN)/buf lint proto

generate: environment ## write protobuf code, JSON Schema and the synchronous SDK
	$(BIN)/python tools/generate.py

schema: generate ## the JSON Schema of the manifests, which `generate` writes
	@:

images: engine ## every image that the tests run: pulled, or built where no registry answers
	@$(BIN)/python tools/images.py --all

engine: environment ## a container engine that answers
	@$(BIN)/python tools/engine.py

environment: $(READY) ## .venv, from requirements.lock
	@:

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) tools/python_environment.py

clean: ## remove .venv and the caches; images and engine stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
