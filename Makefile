# Two commands set everything up: `make demo` and `make test`.

VENV ?= .venv
# Processes that share the tests: more than the cores, since many tests wait for servers and processes.
WORKERS ?= 3
# What is imported is compiled once, and not in every process anew, where a container's image sets this.
unexport PYTHONDONTWRITEBYTECODE
# The demo's own places: whatever the environment and booru.toml say, it meets no real releases, artifacts or store.
SAMPLE_RAW = booru_sample/raw
SAMPLE_HOME = booru_sample/home
SAMPLE = BOORU_RAW=$(SAMPLE_RAW) BOORU_HOME=$(SAMPLE_HOME) BOORU_RELATIONS=$(SAMPLE_RAW) BOORU_STORE__URL=
# `make dev` opens the demo's home, or yours if you name one.
OPENED = $(if $(BOORU_RAW)$(BOORU_HOME),,$(SAMPLE))

BENCHMARKS = ingest dataset training evaluation model serving complete captions overhead history scale soak
BOORU = $(VENV)/bin/booru
INSTALLED = $(VENV)/.installed

.PHONY: demo dev test tests lint format bench docs screenshots clean

# A sample that is there is taken as it is: somebody may have made it larger. Its last file is the truth about it.
demo: $(INSTALLED)  ## sample releases, the whole graph, and what usada_pekora implies
	test -f $(SAMPLE_RAW)/sample_truth.json || $(SAMPLE) $(BOORU) sample
	$(SAMPLE) $(BOORU) run
	$(SAMPLE) $(BOORU) suggest usada_pekora
	$(SAMPLE) $(BOORU) report --summary
	@echo "The runs, with figures and plots, in the web UI: make dev"
	@echo "$(BOORU) works on the sample after: export BOORU_RAW='$(CURDIR)/$(SAMPLE_RAW)' BOORU_HOME='$(CURDIR)/$(SAMPLE_HOME)'"

dev: $(INSTALLED)  ## the Dagster web UI on the demo's home, or on yours: BOORU_RAW and BOORU_HOME
	$(OPENED) $(BOORU) dev

# With --jobs=2 the tests run beside the lint.
test: lint tests  ## lint, types, layers, then every test

tests: $(INSTALLED)
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

docs: $(INSTALLED)  ## these pages, the API and a notebook as a site, in site/
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet docs site/html
	@echo "$(CURDIR)/site/html/index.html"

screenshots: $(INSTALLED)  ## the README's pictures of the web UI, from a real run; needs Debian's chromium
	PYTHONPATH=. $(VENV)/bin/python docs/screenshots.py

clean:  ## the virtual environment; samples and artifacts stay
	rm -rf $(VENV)

# The versions are pinned, so that a demo works next year as it does today. pip takes torch first: on a machine without a
# GPU its own index may then offer the CPU build. What is imported is compiled then: all of it would take a minute.
$(INSTALLED): pyproject.toml constraints.txt
	sh make_venv.sh '$(VENV)' '$(PYTHON)'
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install --quiet --no-compile --constraint constraints.txt torch
	$(VENV)/bin/pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@
