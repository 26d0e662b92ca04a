# A fresh clone needs Python 3.11 to 3.13 and nothing else: `make build` and `make test` set everything up in .venv.

PYTHON ?= python3

# What to build. It is given on the command line (make build SOURCE=…) and not taken from the environment, where names as
# common as these may have any value.
SOURCE = data/sample
ROOT = data/datasets
NAME = clips
CONFIG =
ARGS =
# A file's tests stay in one process: they share what was expensive to make. Each process takes up to 1.5 GB.
TEST_PROCESSES = 2
PORT = 3000
TEST_TOOLS = yes

# The recipes use the shell's "$$SOURCE" and not make's $(SOURCE): any path works, with spaces or quotes in it too.
export PYTHON SOURCE ROOT NAME CONFIG PORT TEST_PROCESSES TEST_TOOLS

VENV = .venv
RUN = $(VENV)/bin/python
BUILD_SET_UP = $(VENV)/.set-up-build
SET_UP = $(VENV)/.set-up
IS_SAMPLE = $(if $(filter file,$(origin SOURCE)),yes,no)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup sample build ui test test-long test-floors test-tools check check-lint check-format check-types check-rooms format bench fuzz reliability soak audit constraints

help:
	@echo 'make setup                        make .venv with all that tests need; each file is checked against its hash'
	@echo 'make build                        build the sample dataset, end to end (writes to data/)'
	@echo 'make build SOURCE=DIR ROOT=DIR    the same on your videos; also NAME=clips CONFIG=run.yaml ARGS="--workers 4"'
	@echo 'make ui [SOURCE=DIR ROOT=DIR]     serve the Dagster UI and its automation on 127.0.0.1; PORT=3000'
	@echo 'make test [ARGS="-k splits"]      run the tests; TEST_TOOLS=no: without apt-get; TEST_PROCESSES=0: in one process, for --pdb'
	@echo 'make test-long [ARGS=…]           run those that take a minute or more each: daemons, browsers, engines, pages'
	@echo 'make test-floors                  run the unit tests on the oldest releases of the dependencies'
	@echo 'make check                        check lint, format, types and rooms (make -k check: all four, even if one fails)'
	@echo 'make format                       sort imports and format the code'
	@echo 'make bench [ARGS=…]               run the benchmarks'
	@echo 'make fuzz [ARGS="--seconds 1800"] fuzz the code that reads files of others (Linux on x86-64)'
	@echo 'make reliability [ARGS=…]         kill builds at every operation, flip bits; docs/RELIABILITY.md'
	@echo 'make soak [ARGS="--commits 300"]  make hundreds of small commits with faults; check every promise after each'
	@echo 'make audit                        look up known weaknesses of what is installed (needs a network)'
	@echo 'make constraints                  choose new versions and write constraints.txt, constraints-readers.txt, build-packages.txt'
	@echo 'PYTHON=python3.12                 name the interpreter that .venv is made with'

# pip shows its progress to people, and nothing to logs.
PIP = $(RUN) -m pip install --disable-pip-version-check --no-deps --no-build-isolation --no-compile \
  $$([ -t 1 ] || echo --quiet)
# On all cores, where pip would use one. Without it each process compiles what it imports where PYTHONDONTWRITEBYTECODE is
# set: a build of the sample takes a minute of processor time more. Some packages carry templates that are not Python.
COMPILE_ALL = $(RUN) -m compileall -qq -j 0 $(VENV)/lib >/dev/null || true
# The lines of constraints.txt for the packages whose names are in a file.
PINNED = awk 'NR == FNR { wanted[$$1]; next } /^[^ ]/ { split($$1, name, "=="); on = name[1] in wanted } on'

# Everything, with what tests and developers need. Each stamp is written last: after an interruption the next call starts
# that step again.
setup: $(SET_UP)
$(SET_UP): $(BUILD_SET_UP) constraints-readers.txt
	@echo "Setting up $(VENV) for tests and development: about 300 MB more to download, 1.3 GB more on disk"
	@# Every package and its version is in the files, so pip has nothing to resolve.
	@$(PIP) --require-hashes -r constraints.txt -r constraints-readers.txt
	@$(COMPILE_ALL)
	@touch $(SET_UP)

# What `make build` and `make ui` need.
$(BUILD_SET_UP): constraints.txt build-packages.txt pyproject.toml
	@command -v "$$PYTHON" >/dev/null || { \
	  echo "make setup: there is no $$PYTHON. Install Python 3.11, 3.12 or 3.13, or name one: make setup PYTHON=…" >&2; exit 1; }
	@"$$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "make setup: $$PYTHON is $$("$$PYTHON" --version 2>&1); Python 3.11, 3.12 or 3.13 is needed." \
	    "Name one: make setup PYTHON=…" >&2; exit 1; }
	@"$$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make setup: $$PYTHON has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): about 900 MB to download, 2.7 GB on disk; a minute or two"
	@# An environment whose interpreter was removed, or has another version, cannot be repaired.
	@$(RUN) -c 'import pip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || "$$PYTHON" -m venv --clear $(VENV)
	@# pip comes first, and setuptools, which builds the packages without a wheel: nothing unchecked is fetched.
	@printf 'pip\nsetuptools\n' | $(PINNED) - constraints.txt > $(VENV)/first.txt
	@$(PIP) --require-hashes -r $(VENV)/first.txt
	@$(PINNED) build-packages.txt constraints.txt > $(VENV)/build.txt
	@$(PIP) --require-hashes -r $(VENV)/build.txt
	@$(PIP) --quiet --editable .
	@$(COMPILE_ALL)
	@touch $(BUILD_SET_UP)

# Only if it is not there, so that a sample that somebody changed stays as it is; or if the program was killed before it
# was complete.
sample: $(BUILD_SET_UP)
	@if [ "$(IS_SAMPLE)" = yes ] && { [ ! -e "$$SOURCE" ] || [ -e data/.unfinished-sample ]; }; then \
	  mkdir -p data && : > data/.unfinished-sample && $(VENV)/bin/video-assets sample "$$SOURCE" \
	    && rm data/.unfinished-sample; fi

build: sample
	@# Other videos must not get into the sample's dataset by mistake.
	@if [ "$(IS_SAMPLE)" != yes ] && [ "$(origin ROOT)" = file ]; then \
	  echo "make build: SOURCE is given, so say where to build too: ROOT=DIR" >&2; exit 2; fi
	@set -- --source "$$SOURCE" --root "$$ROOT" --name "$$NAME"; \
	  if [ "$(IS_SAMPLE)" = yes ]; then set -- "$$@" --set plan.clips_per_shard=16; fi; \
	  if [ -n "$$CONFIG" ]; then set -- "$$@" --config "$$CONFIG"; fi; \
	  $(VENV)/bin/video-assets build "$$@" $(ARGS)

ui: sample
	@exec $(VENV)/bin/video-assets ui --source "$$SOURCE" --root "$$ROOT" --name "$$NAME" --port "$$PORT" $(ARGS)

# A crash of the interpreter ends the run, as a failure of the test that it was in: to start such a process again lets
# pytest-xdist 3.8 wait for ever (its issue 1378).
PYTEST = $(RUN) -m pytest -n "$$TEST_PROCESSES" --dist loadfile --no-loadscope-reorder --max-worker-restart 0
test: setup test-tools
	@$(PYTEST) -m 'not long' $(ARGS)
test-long: setup test-tools
	@$(PYTEST) -m long $(ARGS)

# The unit tests on the oldest releases that pyproject.toml allows, in an environment of its own.
FLOORS_PIP = $(RUN) -m pip --python .venv-floors/bin/python install --quiet --disable-pip-version-check --no-deps
test-floors: setup
	@[ .venv-floors/.set-up -nt constraints-floors.txt ] || { \
	  $(RUN) -m venv --clear --without-pip .venv-floors \
	  && $(FLOORS_PIP) --require-hashes -r constraints-floors.txt && touch .venv-floors/.set-up; }
	@$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir .venv-floors/wheel .
	@$(FLOORS_PIP) --force-reinstall .venv-floors/wheel/*.whl
	@.venv-floors/bin/python -m pytest -W ignore -m 'not slow and not long and not corpus and not browser' $(FLOORS) $(ARGS)
# Without those of tensorflow-datasets, which has no wheel of all that it needs.
FLOORS = $(addprefix video_assets_tests/,domain records sources storage defs reader pipeline) \
  $(addprefix --ignore=video_assets_tests/,records/test_tfds.py reader/test_real_readers.py)

# Programs that some tests use if they are there. It never fails: without them those tests are skipped, by name.
test-tools:
	@if [ "$$TEST_TOOLS" = yes ]; then sh .ci/test-tools; fi

# Four targets, so that `make -k check` reports everything at once.
check: check-lint check-format check-types check-rooms
check-lint: setup
	$(RUN) -m ruff check .
check-format: setup
	$(RUN) -m ruff format --check .
check-types: setup
	$(RUN) -m pyright
check-rooms: setup
	$(VENV)/bin/lint-imports

format: setup
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

bench: setup
	@$(RUN) -m tools.benchmarks $(ARGS)

fuzz: setup
	@$(RUN) -m tools.fuzzing $(ARGS)

reliability: setup
	@$(RUN) -m tools.reliability $(ARGS)

soak: setup
	@$(RUN) -m tools.reliability.soak $(ARGS)

audit: setup
	@$(RUN) -m pip_audit --disable-pip --require-hashes -r constraints.txt -r constraints-readers.txt $(ARGS)

# For all platforms and Pythons at once; names, versions and hashes only.
COMPILE = $(RUN) -m uv pip compile --quiet --no-config --universal --python-version 3.11 --no-header
COMPILE_OLDEST = $(COMPILE) --generate-hashes --no-annotate --resolution lowest-direct --group floors pyproject.toml
constraints: setup
	$(COMPILE) --generate-hashes --annotation-style line --upgrade --all-extras pyproject.toml --output-file constraints.txt
	$(COMPILE) --generate-hashes --annotation-style line --upgrade --no-deps --group model-garden --group grain \
	  --output-file constraints-readers.txt
	$(COMPILE) --no-annotate --constraint constraints.txt --group setup pyproject.toml | sed 's/==.*//' > build-packages.txt
	$(COMPILE_OLDEST) --output-file constraints-floors.txt
