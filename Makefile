# `make demo` needs Python 3.11+, make and git; `make test` is what CI runs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What a run keeps stays in the checkout.
export ATPROBE_STATE_DIR ?= $(abspath $(VENV))/state

.PHONY: help demo test lint replay unit package rig bench format clean

help:
	@echo "make demo    the main job on emulated modules, no hardware needed"
	@echo "make test    everything CI checks: lint, types, import contracts, profiles, replay, tests"
	@echo "make rig     emulated modems on a virtual machine's USB bus, with the kernel's own drivers (Debian, x86-64)"
	@echo "make bench   speed and memory, side by side"

demo: $(VENV)/.run
	$(BIN)/atprobe demo

# On a machine that cannot run the rig (it says why): make lint replay unit package
test: lint replay unit package rig

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/atprobe profiles lint

replay: $(VENV)/.test
	$(BIN)/atprobe profiles test

unit: $(VENV)/.test $(VENV)/.debian
	$(BIN)/pytest -n auto

# The wheel, installed where there is no checkout: the profiles have to be in it.
package: $(VENV)/.test
	rm -rf $(VENV)/wheel $(VENV)/installed
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(VENV)/wheel .
	$(BIN)/python -m venv $(VENV)/installed
	$(VENV)/installed/bin/pip install --quiet --disable-pip-version-check $(VENV)/wheel/*.whl
	cd / && $(abspath $(VENV))/installed/bin/atprobe demo --quiet --format jsonl | grep -c '"imei"'

# As root it installs the Debian packages it needs; anyone else is told which. RIG="-k unplug" runs some tests.
rig: $(VENV)/.test
	$(BIN)/python -m hil.rig --install $(RIG)

bench: $(VENV)/.test
	$(BIN)/python bench/run.py

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.run: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.run

# Debian splits venv off Python. As root it is installed; anyone else is told what to install.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "atprobe needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); \
	  else echo "Python's venv is missing; install it (Debian: apt install python3-venv) and repeat"; exit 1; fi; }

# What some tests run beside atprobe: udev's own parser and recorded buses, and a message bus of their own.
TOOLS := udevadm umockdev-run dbus-daemon
PACKAGES := udev umockdev dbus-daemon libusb-1.0-0
$(VENV)/.debian: | $(BIN)/pip
	@export PATH="$$PATH:/usr/sbin:/sbin"; \
	  for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	  [ -z "$$missing" ] || [ "$$(uname)" != Linux ] || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES); \
	  else echo "missing:$$missing; install them (Debian: apt install $(PACKAGES)) and repeat"; exit 1; fi
	@touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
