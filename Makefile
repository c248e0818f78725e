# Everything from a fresh checkout, with nothing but Python: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Idle OpenMP threads that spin cost more than small models gain; nothing here needs the Hub.
test quick demo bench: export OMP_WAIT_POLICY = passive
test quick bench: export OMP_NUM_THREADS = 1
test quick demo: export HF_HUB_OFFLINE = 1
test quick demo: export TOKENIZERS_PARALLELISM = false
# Rewritten tests are kept for the next run, whatever the environment says.
test quick: export PYTHONDONTWRITEBYTECODE =

.PHONY: help install demo check test quick bench lint format types docs clean

help:
	@echo "make demo    the whole picture on the embedded model"
	@echo "make check   what the demo measured against the committed baseline"
	@echo "make test    all tests; PYTEST_ARGS=tests/masks chooses"
	@echo "make quick   one case of each test that is not slow, of every package"
	@echo "make bench   what everything costs on this machine, into docs/benchmarks.md; half an hour"
	@echo "make lint    ruff, without changing files; make format changes them"
	@echo "make types   mypy"
	@echo "make docs    the documentation as a site, in site/"
	@echo "make clean   remove $(VENV) and what building and testing left behind"
	@echo "PYTHON=python3.12 chooses the interpreter, 3.11 or newer"

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lsn_eval needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]' -c constraints.txt
	touch $@

demo: $(READY)
	$(BIN)/lsn-eval demo

check: $(READY)
	$(BIN)/lsn-eval check lsn_demo_results/results --baseline tests/demo_baseline.json

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

quick: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal --quick $(PYTEST_ARGS)

bench: $(READY)
	$(BIN)/python -m benchmarks --peers --out benchmarks/results.json --table docs/benchmarks.md

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m pip install --quiet -e '.[docs]' -c constraints.txt
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf $(VENV) site build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
