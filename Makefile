# `make demo` and `make test` build the environment (.venv) by themselves.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
# One more than cores: tests of Slurm and of killed runs wait more than they compute.
TEST_WORKERS ?= 3
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(abspath $(VENV))/bin:$(PATH)
export HYDRA_FULL_ERROR := 1
# Container images set it; then each of some hundred processes would compile this checkout again.
unexport PYTHONDONTWRITEBYTECODE

PY_TREES := fairseq_ext tools tests setup.py
SH_FILES := $(shell find recipes tools .ci -name '*.sh' -o -path .ci/run)

.PHONY: help demo test lint format types layers unit env clean
help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

env: $(VENV)/.ready ## build the virtual environment from pinned requirements
$(VENV)/.ready: requirements.txt setup.py tools/make_env.sh
	tools/make_env.sh --python $(PYTHON) --venv $(VENV)

demo: env ## run the main recipe, made small, on the built-in corpus: results table and path of the report
	recipes/catalan_ssl/run.sh --corpus synthetic --size demo --jobs $(JOBS) --out runs/demo

test: lint layers types unit ## run everything that CI runs

lint: env ## check with ruff, shellcheck and shfmt
	ruff check $(PY_TREES)
	ruff format --check $(PY_TREES)
	shellcheck -x -e SC2329 $(SH_FILES) # SC2329: stages are called by their names
	shfmt -i 2 -ci -d $(SH_FILES)

format: env ## format the sources
	ruff check --fix-only --quiet $(PY_TREES)
	ruff format $(PY_TREES)
	shfmt -i 2 -ci -w $(SH_FILES)

layers: env ## check that imports point down
	lint-imports

types: env ## check types with mypy
	mypy

unit: env ## run unit, parity, configuration, training and recipe tests
	python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

clean: ## remove generated files, not the environment
	rm -rf runs build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
