# 'make demo' and 'make test' are all a newcomer needs: each makes .venv when it is absent.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.polyrank-installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test test-slow check zoo clean

help:
	@echo "make demo       rerank bundled queries and show what it changes (under 3 minutes on 2 cores)"
	@echo "make test       the tests, without the slow ones"
	@echo "make test-slow  all tests"
	@echo "make check      ruff and mypy"
	@echo "make zoo        rebuild the bundled base and modules (hours on a CPU)"
	@echo "make clean      remove .venv and caches"

# The stamp is older than pyproject.toml or constraints.txt when either changed: then install again.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "making $(VENV)" >&2; $(PYTHON) -m venv $(VENV); }
	@echo "installing polyrank into $(VENV) (some minutes the first time)" >&2
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/polyrank demo

test: $(STAMP)
	$(BIN)/python -m pytest -q

test-slow: $(STAMP)
	$(BIN)/python -m pytest -q -m 'slow or not slow'

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy polyrank cli tests

zoo: $(STAMP)
	@echo "nothing to rebuild yet: the recipes come with the bundled modules" >&2; exit 1

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
