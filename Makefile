# `make demo` and `make test` each set everything up themselves: a virtual environment in .venv with pinned versions.
PYTHON ?= python3
BIN := .venv/bin
EXTRAS := models,kaggle,production,dev
PHOTOS ?=
NO_PULL ?=
export DAGSTER_HOME := $(CURDIR)/.dagster

.PHONY: demo test ui lint bench services
.DEFAULT_GOAL := demo

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

.dagster/dagster.yaml: dagster.yaml
	mkdir -p .dagster
	ln -sf ../dagster.yaml $@

# The sample listing, or your own photos: make demo PHOTOS=folder. NO_PULL=1 fetches no weights.
demo: .venv/installed .dagster/dagster.yaml
	$(BIN)/listing-media demo $(if $(PHOTOS),'$(PHOTOS)') $(if $(NO_PULL),--no-pull)

# Dagster on http://127.0.0.1:3000 with its daemon, and the media store's files on http://127.0.0.1:3001.
ui: .venv/installed .dagster/dagster.yaml
	@trap 'kill $$media 2>/dev/null' EXIT INT TERM; \
	$(BIN)/listing-media serve-media & media=$$!; \
	$(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

services:
	@deploy/install-test-services

test: .venv/installed services
	$(BIN)/python -m pytest -n 2 $(PYTEST)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python -m benchmarks all --json
