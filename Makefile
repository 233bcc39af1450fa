# The commands of this repository; `make help` lists them. What is made lies below build/; nothing is asked.
# On a machine that only installs the product (`make install`) make, python3 and, for the client, gcc are enough.
PYTHON ?= /usr/bin/python3
DESTDIR ?=
ROLE ?=
ENABLE ?=
CC ?= cc

VENV := build/venv/bin
PYTEST := QT_QPA_PLATFORM=offscreen $(VENV)/python -m pytest
# Scenarios are named as they end, with what took longest, and the lab says meanwhile what it is doing.
LAB := -v -p tests.lab.progress_shown --durations=30 --durations-min=1
# By another name, or `make -n` would run the line that has it.
LINT = $(MAKE) lint
# Tests without a lab wait more than they reckon; so many processes share them.
PROCESSES ?= 3
UNITS := $(PYTEST) -n $(PROCESSES) tests/unit tests/gui
# So many labs side by side, since scenarios wait for guests a third of their time; the scenarios of a file share a lab.
LABS ?= 2
LAB += $(if $(filter-out 1,$(LABS)),-n $(LABS) --dist loadfile --no-loadscope-reorder)
# $(call BESIDE_LAB,SUITE,COMMAND): what needs no lab, while the lab is built.
define BESIDE_LAB
@echo "building the lab ($(1)) beside: $(2)"; \
$(PYTHON) -m tests.lab prepare --suite $(1) & lab=$$!; trap 'kill $$lab 2>/dev/null' EXIT INT TERM; \
$(2) && wait $$lab
endef
SETUP := sh resources/install/setup.sh
# Asked first and in words that every Python 3 understands: the installer itself is written for the product's own.
TOO_OLD := error: $(PYTHON) is older than Python 3.11: name another one with PYTHON=
INSTALL = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(TOO_OLD)")' && \
  $(PYTHON) -B resources/install --role="$(ROLE)" --destdir="$(DESTDIR)" --cc="$(CC)"
SHELL_FILES = $(shell grep -rlE '^\#!(/bin/|/usr/bin/env )(ba)?sh' resources tests .ci 2>/dev/null)

MAKEFLAGS += --no-print-directory
# Each target prints what it does; two at a time would be unreadable, and apt and pip would wait for each other.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup venv pins lint lint-python lint-shell lint-launcher lint-units unit gui test test-fast test-deep \
  campaign mutation fuzz coverage demo bench run man docs translations screenshots packages rpms install uninstall \
  stage clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## the Debian packages that the targets below need (lists them, then installs what is missing)
	@$(SETUP)

venv: ## the pinned Python packages in build/venv
	@$(SETUP) python
	@sh resources/install/venv.sh $(PYTHON)

pins: venv ## resolve resources/requirements/*.txt anew (for a change of versions)
	@sh resources/install/pins.sh $(PYTHON)

lint: lint-python lint-shell lint-launcher lint-units ## style, types, imports, shell, C, units

lint-python: venv
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	MYPYPATH=resources/install $(VENV)/mypy resources/install/*.py
	$(VENV)/lint-imports --cache-dir build/import-linter

lint-shell:
	@$(SETUP) lint
	shellcheck $(SHELL_FILES)

# Descriptors that stay open are what the launcher is about: the helper inherits them.
lint-launcher:
	@$(SETUP) python
	gcc -std=c17 -O1 -Wall -Wextra -Werror -fanalyzer -Wno-analyzer-fd-leak \
	  -DINTERPRETER='"/i"' -DSCRIPT='"/s"' -DPACKAGE='"/p"' -c -o /dev/null resources/launcher/launcher.c

lint-units: stage
	sh resources/install/verify_units.sh build/stage

unit: setup venv ## unit tests
	$(PYTEST) -n $(PROCESSES) tests/unit -m "not deep"

gui: setup venv ## tests of the windows, without a screen
	$(PYTEST) -n $(PROCESSES) tests/gui -m "not deep"

test: setup ## the tests of every change: lint, unit, gui, core scenarios on real kernels (QEMU)
	$(call BESIDE_LAB,trixie,$(LINT) && $(UNITS) -m "not deep")
	$(PYTEST) $(LAB) tests/lab/scenarios -m core

test-fast: setup lint ## the same without QEMU
	$(UNITS) -m "not deep"
	@echo "test-fast: not proven here: anything a real kernel does. No device was exported, attached, granted or opened,"
	@echo "test-fast: no container was kept out, and the installed product did not run. \`make test\` shows these."

test-deep: setup venv ## what `make test` leaves out: fault injection, every scenario, the second Debian
	$(call BESIDE_LAB,bookworm,$(UNITS) -m deep)
	$(PYTEST) $(LAB) tests/lab/scenarios -m "core or cgroup_v1 or unfixed_kernel or every_kernel" --suite bookworm
	$(PYTEST) $(LAB) tests/lab/scenarios -m deep

CYCLES ?= 10000
STORM ?= 60
MINUTES ?= 60
SEED ?=
# What it shows is in CONTRIBUTING.md.
campaign: setup venv ## CYCLES=10000 of numbers used again, STORM=60 s of events, MINUTES=60 at random [SEED=n] [GO_ON=1] (hours; 0: not)
	$(VENV)/python -m tests.lab.campaign --reuse $(CYCLES) $(if $(GO_ON),--go-on) --storm $(STORM) --random $(MINUTES) \
	  $(if $(SEED),--seed $(SEED))

ONLY ?=
mutation: ## is each break of the deciding code noticed by a unit test? [ONLY=module]
	@$(SETUP) python
	@sh resources/install/venv.sh $(PYTHON) mutation
	build/mutation-venv/bin/python -m tests.mutation $(ONLY)

RUNS ?= 1000000
KEEP ?=
fuzz: ## RUNS=1000000 hostile inputs for each parser, or ONLY="name…"; KEEP=1 keeps what reached new code (hours)
	@$(SETUP) python
	@sh resources/install/venv.sh $(PYTHON) fuzz
	build/fuzz-venv/bin/python -B -m tests.fuzz --runs $(RUNS) $(if $(filter 1 yes,$(KEEP)),--keep) $(ONLY)

# coverage.py stands beside the tests' own packages, in its own folder, for this run alone.
COVERAGE := PYTHONPATH="$$(echo $(CURDIR)/build/coverage-venv/lib/python3*/site-packages)" $(VENV)/python -m coverage
coverage: setup venv ## do the unit tests go through 95 % of the lines and of the branches of each pure module?
	@sh resources/install/venv.sh $(PYTHON) coverage
	@mkdir -p build/coverage
	QT_QPA_PLATFORM=offscreen $(COVERAGE) run --include="$$($(VENV)/python -m tests.covered names)" \
	  -m pytest tests/unit tests/gui -m "not deep"
	$(COVERAGE) json --quiet -o build/coverage/report.json
	$(VENV)/python -m tests.covered build/coverage/report.json

demo: ## the main job, shown on two guests: a timeline and pictures in build/demo/
	@$(SETUP) python
	$(PYTHON) -m tests.lab.demo

bench: venv ## speed, goal by goal: met or missed; a page with pictures in build/bench/report.html
	$(VENV)/python -m tests.bench

man: ## the manual pages, made of what programs and settings files say of themselves, in build/man
	@$(PYTHON) -B resources/install/manual.py build/man

docs: ## the documentation, as pages to read without a network, in build/docs/index.html
	@$(SETUP) python
	@sh resources/install/venv.sh $(PYTHON) docs
	$(PYTHON) -B resources/install/documentation.py build/docs-source
	@NO_MKDOCS_2_WARNING=1 build/docs-venv/bin/mkdocs --quiet build --strict --config-file resources/doc/mkdocs.yml

translations: ## the picker's translations, compiled to build/i18n
	@$(SETUP) python
	$(PYTHON) -B resources/install/translate.py resources/i18n build/i18n

screenshots: setup venv translations ## every state of the picker, painted without a screen into resources/screenshots
	$(VENV)/python -m tests.gui.screenshots resources/screenshots

run: setup venv translations ## the picker on this machine's own devices
	$(VENV)/python -c 'import pathlib; from client_gui.ui import app, main; \
	  app.TRANSLATIONS = pathlib.Path("build/i18n"); raise SystemExit(main.main())'

# TRY="trixie bookworm" tries both; TRY= only builds, which needs neither QEMU nor the venv.
TRY ?= trixie
packages: $(if $(TRY),setup venv) ## Debian packages for 12 and 13 in build/packages, then tried in the lab (TRY= only builds)
	@$(SETUP) python
	$(PYTHON) -B -m tests.lab.packages build/packages
	$(foreach suite,$(TRY),$(PYTEST) $(LAB) tests/lab/scenarios -m packages --suite $(suite) || exit;)

rpms: ## the same as .rpm, built and tried with rpm's own tools in a clean root of Debian 13 (not booted), in build/rpms
	@$(SETUP) python
	$(PYTHON) -B -m tests.lab.rpms build/rpms

install: ## ROLE=client|server|vma|all [DESTDIR=dir] [PYTHON=/usr/bin/python3] [ENABLE=1]
	@$(INSTALL) $(if $(filter 1 yes,$(ENABLE)),--enable) install

uninstall: ## the same, backwards; settings that were changed stay
	@$(INSTALL) uninstall

stage: ROLE := all
stage: DESTDIR := build/stage
stage: ## everything installed below build/stage, to look at; the list is build/stage.log
	@$(SETUP) python
	@rm -rf build/stage && mkdir -p build
	@$(INSTALL) install >build/stage.log

clean: ## remove build/
	rm -rf build *.egg-info
