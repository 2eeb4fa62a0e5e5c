# Everything a contributor types. The first run of a target sets up .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard */pyproject.toml */*/pyproject.toml))
SOURCES := $(MEMBERS:%=%/src) demo tools $(sort $(dir $(wildcard bench/*.py tests/typing/*.py)))
PYTEST := $(BIN)/python -m pytest
ENGINE := $(shell grep -m1 '^llama-cpp-python==' requirements/runtime.txt | cut -d' ' -f1)

# Where the tests find their models; set them to use other files.
export STOKER_TEST_MODEL ?= $(CURDIR)/.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
export STOKER_TEST_EMBEDDER ?= $(CURDIR)/.cache/models/all-minilm-l6-v2.F16.gguf
export STOKER_TEST_GEMMA ?= $(CURDIR)/.cache/models/gemma3-270m.Q4_K_M.gguf
TEST_MODELS := $(STOKER_TEST_MODEL) $(STOKER_TEST_EMBEDDER) $(STOKER_TEST_GEMMA)

.PHONY: help install demo test test-all check fix test-unit test-contract mutations test-e2e bench docs changelog build
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.runtime $(VENV)/.members $(VENV)/.tools ## Set up .venv for work on stoker

demo: $(VENV)/.runtime $(VENV)/.members ## Package, serve, pull and chat, from start to end
	$(BIN)/python demo/demo.py

test: check $(TEST_MODELS) ## The checks, then all tests but the slow ones
	$(PYTEST) $(ARGS)

test-all: check $(TEST_MODELS) ## Everything that must pass: as CI runs it, with the slow tests
	$(PYTEST) --all $(ARGS)

check: install ## Lint, formatting, types, spelling, changelog fragments
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --no-error-summary $(SOURCES)
	$(BIN)/codespell
	$(BIN)/python tools/check_fragments.py changelog.d

fix: install ## Format, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-unit: install $(TEST_MODELS) ## Unit tests; ARGS="-k reference" narrows them
	$(PYTEST) tests/unit $(ARGS)

test-contract: install $(TEST_MODELS) ## Every plugin against the contract of its seam
	$(PYTEST) tests/contract $(ARGS)

mutations: install ## Plugins with one fault each: which test of the contract kit finds it
	$(BIN)/python tools/mutations.py

test-e2e: install $(TEST_MODELS) ## User stories over real processes and HTTP
	$(PYTEST) tests/e2e $(ARGS)

bench: install $(STOKER_TEST_MODEL) ## Run one benchmark: make bench NAME=compare ARGS="--help"
	@test -f "bench/$(NAME).py" || { echo "Benchmarks: $(patsubst bench/%.py,%,$(wildcard bench/[a-z]*.py))"; exit 2; }
	PYTHONPATH=tests/support:tools $(BIN)/python bench/$(NAME).py $(ARGS)

docs: install $(VENV)/.docs ## Build the documentation into docs/_build/html
	$(BIN)/python -m sphinx --fail-on-warning --nitpicky --quiet docs docs/_build/html

changelog: install ## Show the changelog of the next release
	$(BIN)/towncrier build --draft

build: install ## Build the wheels and sdists of all members into dist/
	$(foreach member,$(MEMBERS),$(BIN)/python -m build --no-isolation --outdir dist $(member) &&) true

# Each stamp file stands for one step of the installation and is older than what the step reads.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "stoker needs Python 3.11 or later; $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt | $(BIN)/python
	wheels=$$($(BIN)/python tools/build_wheel.py '$(ENGINE)' .cache/wheels) && \
	  $(PIP) install --find-links "$$wheels" --requirement $<
	@touch $@

$(VENV)/.build: requirements/build.txt | $(BIN)/python
	$(PIP) install --requirement $<
	@touch $@

$(VENV)/.members: $(MEMBERS:%=%/pyproject.toml) $(VENV)/.build
	$(PIP) install --no-deps --no-build-isolation $(MEMBERS:%=--editable ./%)
	@touch $@

$(VENV)/.tools: requirements/test.txt requirements/lint.txt requirements/bench.txt $(VENV)/.runtime
	$(PIP) install $(foreach kind,test lint bench,--requirement requirements/$(kind).txt)
	@touch $@

$(VENV)/.docs: requirements/docs.txt | $(BIN)/python
	$(PIP) install --requirement $<
	@touch $@

$(CURDIR)/.cache/models/%.gguf: | $(VENV)/.runtime
	$(BIN)/python tools/fetch_model.py $@
