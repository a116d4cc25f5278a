# Two commands do everything on a machine that has only Python, make and a package index:
# `make demo` shows soundkin at work, `make test` checks it. `make` alone lists the rest.

VENV := .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := $(VENV)/Scripts
else
PYTHON ?= python3
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
# Wheels only: nobody should need a compiler, and a package that lost its wheel should say so at once.
INSTALL := $(PY) -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: -c constraints.txt
SOUNDKIN := $(BIN)/soundkin --library demo/library.db
TOUCH := $(PY) -c "import pathlib, sys; [pathlib.Path(name).touch() for name in sys.argv[1:]]"

# What is installed, one stamp an extra: a second run installs nothing unless what was asked for has changed.
MADE := $(VENV)/.made
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench
ASKED := pyproject.toml constraints.txt $(MADE)

.PHONY: help demo test lint bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    compose a small library in demo/, scan it, show songs like one of them, write a playlist"
	@echo "make test    lint, types and tests"
	@echo "make lint    lint and types only"
	@echo "make bench   measure, and print each figure beside its target"
	@echo "make clean   remove $(VENV), demo/, bench/, build outputs and caches"
	@echo "Another Python than $(PYTHON):  make test PYTHON=python3.12"

demo: $(BASE)
	$(BIN)/soundkin demo demo/music
	$(SOUNDKIN) scan demo/music
	$(SOUNDKIN) similar "Crooked Walk" -n 10 --m3u demo/playlist.m3u8
	@echo "The playlist is demo/playlist.m3u8. For your own music: $(BIN)/soundkin scan ~/Music"

test: lint
	$(PY) -m pytest -n auto

lint: $(DEV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(BENCH)
	$(PY) benchmarks/run.py

clean:
	$(PYTHON) -c "import shutil, sys; [shutil.rmtree(name, ignore_errors=True) for name in sys.argv[1:]]" \
		$(VENV) demo bench build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(MADE):
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
		'soundkin needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12' % v)"
	$(PYTHON) -m venv $(VENV)
	@$(TOUCH) $@

$(BASE): $(ASKED)
	@echo "installing soundkin into $(VENV)"
	@$(INSTALL) -e .
	@$(TOUCH) $@

# The extras bring the base with them, so its stamp is set too.
$(DEV): $(ASKED)
	@echo "installing soundkin and its development tools into $(VENV); this takes a minute or two"
	@$(INSTALL) -e ".[dev,lab]"
	@$(TOUCH) $(BASE) $@

$(BENCH): $(ASKED)
	@echo "installing soundkin and what it is compared with into $(VENV)"
	@$(INSTALL) -e ".[bench]"
	@$(TOUCH) $(BASE) $@
