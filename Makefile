# `make board` runs a small leaderboard on real images, `make test` every check. Both set .venv up first, and reuse it while it fits.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs
TESTS ?= tests
BENCH ?= tests/benchmarks
JSON ?= benchmarks.json
# One process a core (eight at most, for memory), one thread each: OpenMP threads of several processes on one core only spin.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))))')
PYTEST = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help board test quick bench docs lint environment test-environment clean

help:
	@echo "make board   run a small leaderboard on real images (RUN='--methods ... --seeds ...' adds options)"
	@echo "make test    linters, types and all tests"
	@echo "make quick   the same without the slow tests"
	@echo "make bench   speed against other ways of doing the same, in one run, as a table and in benchmarks.json"
	@echo "make docs    the documentation as a site, in build/site"
	@echo "make clean   remove what was built; runs/ stays"

board: environment
	$(BIN)/ltbench run --out $(OUT) $(RUN)

test: lint
	$(PYTEST) $(TESTS)

quick: lint
	$(PYTEST) -m "not slow" $(TESTS)

bench: test-environment
	$(BIN)/python -m pytest $(BENCH) --benchmark-enable --benchmark-json=$(JSON) -n 0 --benchmark-columns=min,median,rounds --benchmark-sort=min
	@$(BIN)/python tools/bench_table.py $(JSON)

docs: test-environment
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lint: test-environment
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

environment:
	@$(PYTHON) tools/environment.py $(VENV)

test-environment:
	@$(PYTHON) tools/environment.py $(VENV) --extra test

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .import_linter_cache .pytest_cache
