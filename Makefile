# make read: transcribes the example lines with the embedded model and counts its errors.  make test: every check.  Both install what they need.
# Elsewhere than in .venv:  make test VENV=DIR.   PyTorch from another index:  make read TORCH="torch==2.13.0 --index-url URL"

PYTHON ?= python3
VENV ?= .venv
TORCH ?= $(shell grep '^torch==' constraints.txt)
BIN := $(VENV)/bin
# Modules are compiled when they are first imported: of most packages few ever are.
PIP_INSTALL := $(BIN)/pip --disable-pip-version-check install --quiet --no-compile
# The oldest transformers that reads the models. It wants an older Hub client, so it has a folder of its own.
OLDEST := transformers==4.57.6 huggingface_hub==0.36.2 tokenizers==0.22.2
# It ships the official schema of PAGE, which the tests ask; nothing of it is ever imported.
PAGE_SCHEMA := ocrd==3.13.3

.PHONY: read install test lint types tests format

read: $(VENV)/read.stamp
	$(BIN)/python examples/read.py

install: $(VENV)/test.stamp

test: lint types tests

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A folder of any name is the package, so mypy finds it under the package's name through a link.
types: $(VENV)/test.stamp
	mkdir -p $(VENV)/types
	ln -sfn "$(CURDIR)" $(VENV)/types/htr_convtext
	cd $(VENV)/types && $(abspath $(BIN)/mypy) --config-file "$(CURDIR)/pyproject.toml" -p htr_convtext

# Files side by side on one thread each: the small networks of the tests lose more to threads than they gain by them.
# The longest files go first (tests/conftest.py), not those with the most tests.
# A worker that dies ends the run with its test's name; replaced, it would leave pytest-xdist waiting for ever.
tests: $(VENV)/test.stamp
	@command -v chromium >/dev/null || echo "No chromium on the PATH: the browser tests are skipped."
	OMP_NUM_THREADS=1 $(BIN)/pytest tests --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PyTorch goes first, by itself: asked for by another package, pip may take a newer one with gigabytes of CUDA.
$(VENV)/read.stamp: setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) $(TORCH)
	$(PIP_INSTALL) -e . jiwer -c constraints.txt
	touch $@

$(VENV)/test.stamp: $(VENV)/read.stamp Makefile
	$(PIP_INSTALL) -e ".[train,pages,export,lm,workbench,test]" -c constraints.txt
	$(PIP_INSTALL) --no-deps $(PAGE_SCHEMA)
	$(PIP_INSTALL) --upgrade --no-deps --target $(VENV)/transformers-4.57 $(OLDEST)
	touch $@
