# make book   quick profile of every section, executed here, and the HTML book   (_build/html/book/intro.html)
# make test   the whole test suite   (make test FAST=1: without what executes sections; TESTS=tests/test_plots.py: one file)
# make full   full profile of every section: the published numbers (some hours on two cores; a GPU serves the sections that want one)
# make check  the gate: are the runs of this machine what they used to be?   (make check PROFILE=full)
# make gpu    fail unless this machine has a GPU that JAX and torch can use   (set up with EXTRA=cuda)
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TESTS  ?=
FAST   ?=
PROFILE ?= quick
EXTRA  ?=

.PHONY: book full check gpu power test lint format cover clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

book: $(STAMP)
	$(BIN)/genlab run --all --profile quick
	$(BIN)/genlab build --profile quick

# Sections that succeeded are kept and shown even when others failed.
full: $(STAMP)
	$(BIN)/genlab run --all --profile full; ran=$$?; $(BIN)/genlab build --profile full && exit $$ran

check: $(STAMP)
	$(BIN)/genlab check --profile $(PROFILE)

gpu: $(STAMP)
	nvidia-smi -L
	$(BIN)/python -c "import jax, torch; assert jax.default_backend() == 'gpu' and torch.cuda.is_available(), 'JAX or torch cannot use the GPU: make EXTRA=cuda'"

# The gate's power against planted faults, on the book's page about the gate.
power: $(STAMP)
	$(BIN)/python tests/gate_faults.py

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope $(if $(FAST),-m "not slow") $(TESTS)

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

# Installed anew only when the pinned versions or the package's own description change.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "make: no $(PYTHON): install Python 3.11, or name one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than Python 3.11: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) has no venv module: install it (python3-venv on Debian and Ubuntu)"; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	[ -z "$(EXTRA)" ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[$(EXTRA)]"
	@touch $(STAMP)
