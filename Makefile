# Two commands, each doing its own set-up: `make conformance` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REPORT ?= conformance-report

# What a batch norm is for: training, several devices, population statistics.
AT_WORK := $(addprefix --bn-requirement ,S10 M10 T1 T2 Y1 Y2 Y3)

.PHONY: help install conformance conformance-everything at-work test lint types clean

help:
	@echo "make conformance   judge every installed implementation, print the matrix, write $(REPORT)/results.json"
	@echo "make conformance-everything   the same with every implementation that can be installed"
	@echo "make at-work       training, several devices and the published benefits, as a report in $(REPORT)/at-work"
	@echo "make test          the suite's own tests, lint and types"
	@echo "make clean         remove the environment and what was built"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@

conformance: $(STAMP)
	$(BIN)/python -m pytest conformance/ -q -n 2 --dist loadgroup --bn-report $(REPORT) $(ARGS)

conformance-everything: $(VENV)/.everything
	$(BIN)/python -m pytest conformance/ -q -n 2 --dist loadgroup --bn-slow --bn-report $(REPORT) $(ARGS)

at-work: $(STAMP)
	$(BIN)/python -m pytest conformance/ -q -n 2 --dist loadgroup $(AT_WORK) --bn-report $(REPORT)/at-work $(ARGS); \
	status=$$?; \
	$(BIN)/bnconform benefits -o $(REPORT)/at-work && \
	$(BIN)/bnconform report $(REPORT)/at-work/results.json $(REPORT)/at-work/benefits.json -o $(REPORT)/at-work && \
	exit $$status

$(VENV)/.everything: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[everything,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps tf_keras
	@touch $@

test: lint types
	$(BIN)/python -m pytest tests/ -q -n 2 $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(REPORT) build dist .mypy_cache .pytest_cache .ruff_cache
