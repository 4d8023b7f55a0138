# For a new machine (Python 3.11 or newer, and make): `make serve`, `make test`, `make docs`, `make bench`. Each does all its own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Hundreds of processes of the tests import the same modules: without .pyc files each would compile them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve test check lint types programs collect tested bench docs clean

help:
	@echo "make serve   run the service with the simulated feed on wss://127.0.0.1:8443 (ARGS='--feed ...' adds options)"
	@echo "make test    everything a change must pass: lint, types, all tests with branch coverage"
	@echo "make check   the fast half of it: lint, types, layers"
	@echo "make bench   how fast Ticker is beside what else one could use (ARGS='--quick' for eight minutes instead of ninety)"
	@echo "make docs    build the documentation site in docs/_build/html, and check its links"
	@echo "make clean   remove what these made"

serve: $(VENV)/installed
	@exec $(BIN)/ticker serve $(ARGS)

# What takes seconds comes first; types are checked beside the tests, which leave a core idle at times.
test: $(VENV)/installed-test
	@$(MAKE) --no-print-directory -j3 lint collect programs
	@$(MAKE) --no-print-directory -j2 types tested

check: lint types

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -q tests/test_layers.py

types: $(VENV)/installed-test
	$(BIN)/mypy

# PYTEST_ARGS names a part of the tests (PYTEST_ARGS=tests/web); a part has no report on coverage.
tested: programs
	$(BIN)/coverage erase
	TICKER_SKIPPED=$(VENV)/skipped $(BIN)/coverage run -m pytest -n auto --dist worksteal $(PYTEST_ARGS)
	$(BIN)/coverage combine -q
	$(if $(PYTEST_ARGS),,$(BIN)/coverage report)
	@cat $(VENV)/skipped

# Node, Chromium, nginx and HAProxy are installed where that needs no password; without them their tests are skipped.
programs: $(VENV)/installed-test
	@$(BIN)/python -m tests.programs

# Once, before the tests: otherwise each worker rewrites the assertions of all tests when it begins.
collect: $(VENV)/installed-test
	@$(BIN)/pytest -q --collect-only > $(VENV)/collected || { cat $(VENV)/collected; exit 1; }

bench: $(VENV)/installed-bench
	@exec $(BIN)/python -m benchmarks $(ARGS)

# Links to elsewhere are checked where there is a network.
docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@if $(BIN)/python -c 'import socket; socket.create_connection(("trio.readthedocs.io", 443), 3)' 2> /dev/null; \
	then $(BIN)/sphinx-build -W --keep-going -q -b linkcheck docs docs/_build/links; \
	else echo "no network: links to other sites are not checked"; fi
	@echo "the site: docs/_build/html/index.html"

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ticker needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Most modules of these packages are never imported: those that are get compiled when they are.
$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-bench: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
