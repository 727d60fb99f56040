# Everything a newcomer needs: `make app`. Each target does its own set-up, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501

.DEFAULT_GOAL := help
.PHONY: help app api test lint bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/app.stamp: requirements.txt requirements-api.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "seglab needs Python 3.11 or newer; set PYTHON=/path/to/python")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-api.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/app.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

app: $(VENV)/app.stamp ## set up (once) and open the dashboard on port 8501, the REST service under /api
	$(BIN)/python -m seglab serve --port $(PORT)

api: $(VENV)/app.stamp ## set up (once) and serve the REST service alone on port 8501
	$(BIN)/python -m uvicorn seglab.api:app --port $(PORT)

test: $(VENV)/dev.stamp ## set up (once) and run every test, the browser's included
	@bash tests/browser/install_chromium.sh
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope

lint: $(VENV)/dev.stamp ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp ## run the benchmarks; each prints a ratio
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
