# Three commands, each doing its own set-up: `make conformance`, `make quick` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REPORT ?= conformance-report

# What a batch norm is for: training, several devices, population statistics.
AT_WORK := $(addprefix --bn-requirement ,S10 M10 T1 T2 Y1 Y2 Y3)

# What a change breaks first, by what a second of it tells: the oracle against rational numbers, the judge, records and
# the rule of imports, the starter by all laws, one fault of each law, and the commands that users type. Tests of these
# files that are marked `thorough` are left to `make test`.
QUICK := \
	tests/reference/test_oracle_against_rationals.py \
	tests/reference/test_layer.py \
	tests/reference/test_running_statistics_exactly.py \
	tests/conformance/test_judge.py \
	tests/conformance/test_records.py \
	tests/conformance/test_case_file.py \
	tests/conformance/test_architecture.py \
	tests/conformance/test_candidates.py::test_starter_keeps_every_law_that_it_claims \
	tests/zoo/test_zoo.py \
	tests/conformance/test_plugin.py::test_plugin_is_light \
	tests/conformance/test_vetting.py::test_wrong_file_breaks \
	tests/conformance/test_messages.py

.PHONY: help install conformance conformance-everything at-work quick test lint types clean

help:
	@echo "make conformance   judge every installed implementation, print the matrix, write $(REPORT)/results.json"
	@echo "make conformance-everything   the same with every implementation that can be installed"
	@echo "make at-work       training, several devices and the published benefits, as a report in $(REPORT)/at-work"
	@echo "make quick         the tests that a change most likely breaks, in under a minute"
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

quick: $(STAMP)
	$(BIN)/python -m pytest $(QUICK) -m "not thorough" -q -n 2 $(ARGS)

# The tests of a file stay in one process, and share what takes seconds: frameworks, compiled programs, runs of commands.
test: lint types
	$(BIN)/python -m pytest tests/ -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(REPORT) build dist .mypy_cache .pytest_cache .ruff_cache
