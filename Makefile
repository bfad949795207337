# make demo, make test and make lint each work as the first command after a clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO ?= demo
CORES ?= 2
# One thread a process: the workflow runs one process a core.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test longtest coverage night torture lint docs format config clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## simulate a night, take it to a published mosaic, and report
	$(BIN)/contimg simulate $(DEMO) --demo --overwrite
	$(BIN)/snakemake --configfile $(DEMO)/config.yaml --directory $(DEMO)/work --cores $(CORES) --quiet rules
	$(BIN)/snakemake --configfile $(DEMO)/config.yaml --directory $(DEMO)/work --report $(abspath $(DEMO))/report.html --quiet
	$(BIN)/contimg -c $(DEMO)/config.yaml report --truth $(DEMO)/truth.csv
	@echo "The whole report: $(abspath $(DEMO))/report.html"

test: $(INSTALLED)  ## all tests but the long ones; those that need a server say how to enable them
	CONTIMG_TEST_LONG=0 $(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

longtest: $(INSTALLED)  ## the long tests: whole runs that are killed, come late, are undone, or meet odd conditions
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder -m long

coverage: $(INSTALLED)  ## all tests, and what of contimg/ they run: htmlcov/index.html; below 90 % of the lines is an error
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-report=html
	@$(BIN)/coverage json -q -o - | $(BIN)/python -c "import json, sys; \
	  lines = json.load(sys.stdin)['totals']['percent_statements_covered']; \
	  print(f'{lines:.1f} % of the lines run; 90 % must.'); sys.exit(lines < 90)"

night: $(INSTALLED)  ## a group of ten tiles at full size, measured: 50 GB of disk, an hour of CPU time
	$(BIN)/python -m benchmarks.night --cores $(CORES)

torture: $(INSTALLED)  ## the demo night, killed at 200 random instants: about an hour
	$(BIN)/python -m benchmarks.torture --kills 200

docs: $(INSTALLED)  ## the documentation as a site, site/index.html; a warning or a broken link is an error
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]' -c envs/constraints.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(INSTALLED)  ## ruff, snakefmt, mypy, import-linter, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	night=$$(mktemp -d) && trap 'rm -rf "$$night"' EXIT && \
	  $(BIN)/contimg simulate $$night/lint --tiles 1 --antennas 3 --channels 1 --sources 1 >/dev/null && \
	  $(BIN)/snakemake --configfile $$night/lint/config.yaml --directory $$night --lint

format: $(INSTALLED)  ## apply the fixes and format of ruff and snakefmt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

config: $(INSTALLED)  ## write config.yaml and its JSON schema anew from contimg/config/sections.py
	$(BIN)/python -c "from contimg import config; print(config.as_yaml(), end='')" > config.yaml
	$(BIN)/python -c "from contimg import config; print(config.as_json_schema(), end='')" > config.schema.json

$(INSTALLED): pyproject.toml envs/constraints.txt
	@$(PYTHON) -c "import sys; assert (3, 11) <= sys.version_info < (3, 14)" 2>/dev/null || \
	  { echo "contimg needs Python 3.11 to 3.13: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make $(VENV): apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]' -c envs/constraints.txt
	@touch $@

clean:  ## remove the demo night and the environment
	rm -rf $(DEMO) $(VENV) site build
