# The commands of this repository; `make help` lists them. Everything made lies below build/.
PYTHON ?= python3
BIN := build/venv/bin

.DEFAULT_GOAL := help
.PHONY: help venv lint unit gui clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

venv: build/venv/.stamp ## the pinned tools in build/venv

build/venv/.stamp: resources/requirements/build.txt resources/requirements/dev.txt
	@echo "build/venv: a virtual environment of $$($(PYTHON) --version), with $$(grep -c '==' resources/requirements/dev.txt) pinned packages"
	@rm -rf build/venv && mkdir -p build && $(PYTHON) -m venv build/venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r resources/requirements/build.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r resources/requirements/dev.txt
	@touch $@

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: venv
	$(BIN)/python -m pytest tests/unit

gui: venv
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest tests/gui

clean:
	rm -rf build
