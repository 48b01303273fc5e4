# Two commands: `make demo` and `make test`. Both build the environment (.venv) by themselves.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(abspath $(VENV))/bin:$(PATH)
export HYDRA_FULL_ERROR := 1

PY_TREES := fairseq_ext tools tests setup.py
SH_FILES := $(shell find recipes tools .ci -name '*.sh' -o -path .ci/run)

.PHONY: help demo test lint format types layers unit env clean
help: ## what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

env: $(VENV)/.ready ## the virtual environment, from pinned requirements
$(VENV)/.ready: requirements.txt setup.py tools/make_env.sh
	tools/make_env.sh --python $(PYTHON) --venv $(VENV)

demo: env ## the main recipe on the built-in corpus: ends with the results table and the report's path
	recipes/catalan_ssl/run.sh --corpus synthetic --labels asr_10min --jobs $(JOBS) --out runs/demo \
	  --set pretrain.optimization.max_update=500 --set finetune.optimization.max_update=500 \
	  --set heads.optimization.max_update=60

test: lint layers types unit ## everything CI runs

lint: env ## ruff, shellcheck, shfmt
	ruff check $(PY_TREES)
	ruff format --check $(PY_TREES)
	shellcheck -x -e SC2329 $(SH_FILES) # stages are called by their names
	shfmt -i 2 -ci -d $(SH_FILES)

format: env ## rewrite in the house style
	ruff check --fix-only --quiet $(PY_TREES)
	ruff format $(PY_TREES)
	shfmt -i 2 -ci -w $(SH_FILES)

layers: env ## the import contract
	lint-imports

types: env ## mypy strict
	mypy

unit: env ## unit, parity, configuration, training and recipe tests
	python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

clean: ## generated files, not the environment
	rm -rf runs build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
