# `make demo` and `make test` work in a fresh clone on a machine with Python 3.11 to 3.13 and nothing else.

PYTHON ?= python3
BIN := .venv/bin
RUFF_RULES := E,F,W,I,B,C4,UP,SIM,RET,RUF100
SOURCES := tfgan_suite models_zoo data_tools tests results

.PHONY: demo test test-all zoo lint format clean

demo: .venv/installed
	$(BIN)/python -m tfgan_suite.fit

zoo: .venv/installed
	$(BIN)/python results/zoo.py

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m ""

lint: .venv/installed-test
	$(BIN)/ruff check --line-length 120 --select $(RUFF_RULES) $(SOURCES)
	$(BIN)/ruff format --line-length 120 --check $(SOURCES)
	$(BIN)/mypy

format: .venv/installed-test
	$(BIN)/ruff check --line-length 120 --select $(RUFF_RULES) --fix-only $(SOURCES)
	$(BIN)/ruff format --line-length 120 $(SOURCES)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-test: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch .venv/installed $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
