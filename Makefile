# For a new machine (Python 3.11 or newer, and make): `make serve`, `make test`, `make bench`. Each does all its own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Hundreds of processes of the tests import the same modules: without .pyc files each would compile them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve test check collect bench clean

help:
	@echo "make serve   run the service with the simulated feed on wss://127.0.0.1:8443 (ARGS='--feed ...' adds options)"
	@echo "make test    everything a change must pass: lint, types, all tests with branch coverage"
	@echo "make check   the fast half of it: lint, types, layers"
	@echo "make bench   how fast Ticker is beside what else one could use (ARGS='--quick' for eight minutes instead of thirty)"
	@echo "make clean   remove what these made"

serve: $(VENV)/installed
	@exec $(BIN)/ticker serve $(ARGS)

# Node, Chromium, nginx and HAProxy are installed where that needs no password; without them their tests are skipped.
# PYTEST_ARGS names a part of the tests (PYTEST_ARGS=tests/web); a part has no report on coverage.
test: $(VENV)/installed-test
	@$(MAKE) --no-print-directory -j2 check collect
	@$(BIN)/python -m tests.programs
	$(BIN)/coverage erase
	TICKER_SKIPPED=$(VENV)/skipped $(BIN)/coverage run -m pytest -n auto --dist worksteal $(PYTEST_ARGS)
	$(BIN)/coverage combine -q
	$(if $(PYTEST_ARGS),,$(BIN)/coverage report)
	@cat $(VENV)/skipped

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_layers.py

# Once, beside the type checker: otherwise each worker rewrites the assertions of all tests when it begins.
collect: $(VENV)/installed-test
	@$(BIN)/pytest -q --collect-only > $(VENV)/collected || { cat $(VENV)/collected; exit 1; }

bench: $(VENV)/installed-bench
	@exec $(BIN)/python -m benchmarks $(ARGS)

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

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
