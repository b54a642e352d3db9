# make book   quick profile of every section, executed here, and the HTML book   (_build/html/book/intro.html)
# make test   the whole test suite   (make test FAST=1: without what executes sections; TESTS=tests/test_plots.py: one file)
# make test EXTRA=browser   also in a real browser (Debian's chromium, or Chrome, or CHROMIUM=...): pages, what a reader does, looks
# make full   full profile of every section: the published numbers (some hours on two cores; a GPU serves the sections that want one)
# make check  the gate: are the runs of this machine what they used to be?   (make check PROFILE=full)
# make site   the HTML book of the published results; nothing is executed
# make pdf    the same book as one PDF, by Chromium or Chrome   (_build/genlab.pdf)
# make release  what others download of the last commit: HTML, PDF, results, tables, checksums   (_build/release)
# make gpu    a few steps of every training on the GPU: fails unless JAX and torch can use it   (set up with EXTRA=cuda)
#
# The first of these sets up .venv, in a minute or two beside the download.  On Linux torch from PyPI brings CUDA: 3 GB to download,
# 6 GB on the disk.  With the small CPU build it is 0.5 GB and 2.1 GB:
# make book TORCH=...   torch from there: the index of CPU packages that PyTorch's own install page names (what follows --index-url),
#                       a folder with its wheel, or the wheel itself (file or address)
# make book PYTHON=...  another Python than python3
#
PYTHON ?= python3
VENV   ?= .venv
EXTRA  ?=
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed$(addprefix -,$(EXTRA))
LOG    := $(VENV)/setup.log
TESTS  ?=
FAST   ?=
PROFILE ?= quick
TORCH  ?=

.PHONY: book full check site pdf release gpu power test lint format cover clean help
.DEFAULT_GOAL := help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

book: $(STAMP)
	$(BIN)/genlab run --all --profile quick
	$(BIN)/genlab build --profile quick

# Sections that succeeded are kept and shown even when others failed.
full: $(STAMP)
	$(BIN)/genlab run --all --profile full; ran=$$?; $(BIN)/genlab build --profile full && exit $$ran

check: $(STAMP)
	$(BIN)/genlab check --profile $(PROFILE)

site: $(STAMP)
	$(BIN)/genlab build

pdf: $(STAMP)
	$(BIN)/genlab pdf

# It builds the commit's book anew, in a folder of its own, so that nothing of this machine is in it.
release: $(STAMP)
	$(BIN)/genlab release

gpu: $(STAMP)
	nvidia-smi -L
	$(BIN)/python tests/on_device.py gpu

# The gate's power against planted faults, on the book's page about the gate.
power: $(STAMP)
	$(BIN)/python tests/gate_faults.py

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(if $(FAST),-m "not slow") $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/page_format.py --check
	$(BIN)/yamllint --strict .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tests/page_format.py

# The picture on the first page and in the README, from the published samples.
cover: $(STAMP)
	$(BIN)/python book/cover.py

clean:
	rm -rf _build .pytest_cache .ruff_cache
	-[ ! -x $(BIN)/genlab ] || $(BIN)/genlab clean

# Setting up.  The bounds are read from pyproject.toml; PIP_CONSTRAINT and PIP_USER undo what a person's pip.conf may say.
PYTHONS := $(shell sed -n 's/^requires-python = "\(.*\)".*/\1/p' pyproject.toml)
FITS    := import sys; low, high = (tuple(map(int, p.strip("<>=").split("."))) for p in "$(PYTHONS)".split(",")); \
           sys.exit(not low <= sys.version_info[:3] < high)
# Python compiles what it imports, when it does; that pip compiles everything is a quarter of an installation.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
PIP     := PYTHONUNBUFFERED=1 PIP_CONSTRAINT=/dev/null PIP_USER=0 $(BIN)/python -m pip --disable-pip-version-check install $(COMPILE)
TORCH_FROM = $(if $(filter %.whl,$(TORCH)),$(TORCH),$(shell grep '^torch==' requirements.lock) $(if $(wildcard $(TORCH)/.),--no-index --find-links,--index-url) $(TORCH))

# Reads pip's output where there is no terminal: all of it goes into the log, a line now and then to the reader.
define brief
(n=0; : >$(LOG); while IFS= read -r line; do printf '%s\n' "$$line" >>$(LOG); case $$line in \
    Collecting*|Processing*) n=$$((n + 1)); [ $$((n % 25)) -ne 0 ] || echo "make:   $$n packages found";; \
    *Downloading*\([0-9][0-9][0-9]*.[0-9]\ MB\)) echo "make:   $${line##* Downloading }";; \
    Installing*) echo "make:   unpacking";; \
    exit\ *) exit $${line#exit };; \
  esac; done; exit 1)
endef

# $(call install,WHAT,ARGUMENTS OF PIP).  In a terminal pip shows its own progress, and only its warnings and errors go into the log.
define install
@echo "make: installing $(1)"; began=$$(date +%s); \
if [ -t 1 ]; then $(PIP) $(2) 2>$(LOG); else { $(PIP) $(2) 2>&1; echo "exit $$?"; } | $(brief); fi || { \
  why=$$(grep '^ *ERROR' $(LOG) | grep -v ResolutionImpossible | tail -n 1); \
  ! grep -q 'connection broken' $(LOG) || why="$$why (no connection to the package index)"; \
  echo "make: installing $(1) failed: $${why:-$$(tail -n 1 $(LOG))}: see $(LOG), and run make again" >&2; exit 1; }; \
echo "make:   done in $$(($$(date +%s) - began)) s"
endef

# `venv` writes `activate` last: where there is none, nothing was made yet, or not to its end.
$(BIN)/activate:
	@$(PYTHON) -c '' 2>/dev/null || { echo "make: $(PYTHON) does not run here: install Python $(PYTHONS), or name one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c '$(FITS)' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), genlab needs $(PYTHONS): name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) has no venv module: install it (python3-venv on Debian and Ubuntu)" >&2; exit 1; }
	@echo "make: making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv --clear $(VENV)

# Installed anew only when the pinned versions or the package's own description change.  A package whose installation was
# interrupted has no INSTALLER file, which pip writes last; without its description pip installs it again.
$(STAMP): requirements.lock pyproject.toml | $(BIN)/activate
	@$(BIN)/python -c '$(FITS)' 2>/dev/null || { echo "make: the Python of $(VENV) is gone or not $(PYTHONS): rm -r $(VENV), and run make again" >&2; exit 1; }
	@for d in $(VENV)/lib/python*/site-packages/*.dist-info; do [ -e "$$d/INSTALLER" ] || rm -rf "$$d"; done
	$(if $(TORCH),$(call install,torch from $(TORCH),--no-deps $(TORCH_FROM)),@$(warn_of_cuda))
	$(call install,the packages of requirements.lock,-r requirements.lock)
	$(call install,genlab itself,--no-deps --editable .)
	$(if $(EXTRA),$(call install,the extra $(EXTRA),--constraint requirements.lock --editable ".[$(EXTRA)]"))
	@touch $(VENV)/.installed $(STAMP)

define warn_of_cuda
[ "$$(uname)$(filter cuda,$(EXTRA))" != Linux ] || ls -d $(VENV)/lib/python*/site-packages/torch >/dev/null 2>&1 || \
echo "make: torch from PyPI brings CUDA (3 GB to download, 6 GB on the disk); for the small CPU build stop here and see make help"
endef
