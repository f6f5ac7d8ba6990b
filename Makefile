# Two commands set everything up: `make demo` and `make test`.

PYTHON ?= python3.11
VENV ?= .venv
# Processes that share the tests.
WORKERS ?= 2
export BOORU_RAW ?= booru_raw
export BOORU_HOME ?= booru_home

BENCHMARKS = ingest dataset training evaluation model overhead history soak
BOORU = $(VENV)/bin/booru
INSTALLED = $(VENV)/.installed

.PHONY: demo dev test lint format bench screenshots clean

demo: $(INSTALLED)  ## sample releases, the whole graph, and what usada_pekora implies
	$(BOORU) sample
	$(BOORU) run
	$(BOORU) suggest usada_pekora
	$(BOORU) report --summary
	@echo "The runs, with figures and plots, in the web UI: make dev"

dev: $(INSTALLED)  ## the Dagster web UI on the same home
	$(BOORU) dev

test: lint  ## lint, types, layers, then every test
	$(VENV)/bin/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(INSTALLED)  ## every benchmark that needs no GPU; results go to standard output
	@for name in $(BENCHMARKS); do echo "== $$name"; $(VENV)/bin/python -m benchmarks.$$name || exit 1; done

screenshots: $(INSTALLED)  ## the README's pictures of the web UI, from a real run; needs Debian's chromium
	PYTHONPATH=. $(VENV)/bin/python docs/screenshots.py

clean:  ## the virtual environment; samples and artifacts stay
	rm -rf $(VENV)

# The versions are pinned, so that a demo works next year as it does today. pip takes torch first: on a machine without a
# GPU its own index may then offer the CPU build.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install --quiet --constraint constraints.txt torch
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
