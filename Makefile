# Everything a newcomer needs: `make run` to see it work, `make test` to prove it.

VENV := .venv
BIN := $(VENV)/bin
# The first Python on the machine that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$candidate && break; done)
# The environment is stamped with the hash of its lock, so that a second run installs nothing and needs no network.
hash = $(shell cat $(1) pyproject.toml | cksum | cut -d ' ' -f 1)
RUNTIME := $(VENV)/runtime-$(call hash,requirements.txt)
DEVELOPMENT := $(VENV)/development-$(call hash,requirements-dev.txt)
# The compiled library is tried anew when its sources change, or where the compiler is.
LIBRARY := state/native/built/tried-$(shell { command -v rustc; cat state/native/*.rs state/native/*/*.rs state/native/*.py; } | cksum | cut -d ' ' -f 1)

.PHONY: help run install develop test lint unit drill bench format lock clean

help:
	@echo "make run      start broker, worker, collect, lookup and admin, and play the demo"
	@echo "make install  the environment in $(VENV), with what the program needs"
	@echo "make develop  the same, with what tests and checks need too"
	@echo "make test     lint, types, import rules and all tests"
	@echo "make drill    the long fault drills, about an hour"
	@echo "make bench    the benchmarks against the peers, some 40 minutes; QUICK=1 takes six"
	@echo "make format   format the code"
	@echo "make lock     compile the locked requirements anew (needs uv)"
	@echo "make clean    remove the environment and local data"

run: $(RUNTIME) $(LIBRARY)
	@$(BIN)/goldenthread up --demo

install: $(RUNTIME) $(LIBRARY)

develop: $(DEVELOPMENT) $(LIBRARY)

$(RUNTIME):
	@echo "Installing what requirements.txt locks into $(VENV), about a minute"
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or give its path as PYTHON=..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/runtime-* && touch $@

# Without a Rust compiler the same is done in Python: no installation fails for want of it.
$(LIBRARY): | $(RUNTIME)
	-@$(BIN)/python -m state.native
	@mkdir -p $(@D) && rm -f $(@D)/tried-* && touch $@

$(DEVELOPMENT): $(RUNTIME)
	@echo "Installing what requirements-dev.txt locks into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@rm -f $(VENV)/development-* && touch $@

test: lint unit

lint: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

# Most tests wait for a broker or a process, so two sides of them share two cores well. Each side has a broker of its own.
unit: $(DEVELOPMENT) $(LIBRARY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Kill -9 of workers alone, then everything at random; then the tests that take minutes. A bad verdict says its seed.
drill: $(DEVELOPMENT) $(LIBRARY)
	$(BIN)/goldenthread drill --kills 200 --only kill-worker --only kill-workers
	$(BIN)/goldenthread drill --seconds 1800
	$(BIN)/python -m pytest -m drill

# The environments and jars of the peers are fetched once. The report's folder is printed.
bench: $(RUNTIME) $(LIBRARY)
	@$(BIN)/python -m bench report $(if $(QUICK),--quick)

format: $(DEVELOPMENT)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# Both are installed into one environment, so what the tests need is chosen first, and the rest by it.
lock:
	$(LOCK) --extra dev pyproject.toml --output-file requirements-dev.txt
	$(LOCK) --extra build --constraint requirements-dev.txt pyproject.toml --output-file requirements.txt
	for folder in bench/report bench/peers/quix bench/peers/faust_table; do \
		$(LOCK) $$folder/requirements.in --output-file $$folder/requirements.txt || exit 1; done

clean:
	rm -rf $(VENV) .goldenthread .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		state/native/built
