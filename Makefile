# Both commands need git, make and Python >= 3.11, nothing else: each makes its environment.
PYTHON ?= python3
VENV ?= .venv
PICTURES ?= demo
BIN = $(VENV)/bin

.PHONY: demo examples test lint oldest bench clean

demo: $(VENV)/.demo
	mkdir -p $(PICTURES)
	SKL_SAE_PICTURES=$(PICTURES) MPLBACKEND=agg $(BIN)/python examples/plot_natural_image_edges.py
	SKL_SAE_PICTURES=$(PICTURES) MPLBACKEND=agg $(BIN)/python examples/plot_digits_grid_search.py
	@echo "The pictures are in $(abspath $(PICTURES)): $$(cd $(PICTURES) && ls *.png | tr '\n' ' ')"

examples: $(VENV)/.demo
	mkdir -p $(PICTURES)
	set -e; for script in examples/plot_*.py; do echo "$$script"; \
		SKL_SAE_PICTURES=$(PICTURES) MPLBACKEND=agg $(BIN)/python -W error "$$script"; done

test: $(VENV)/.test
	$(BIN)/python -m pytest -q -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Whether the comparison with other packages runs; `CONTRIBUTING.md` says how it is measured.
bench: $(VENV)/.demo
	MPLBACKEND=agg $(BIN)/python benchmarks/compare.py --quick --out build/benchmarks

# The same tests with the oldest versions that pyproject.toml admits.
oldest: .venv-oldest/.test
	.venv-oldest/bin/python -m pytest -q -n auto

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[examples]"
	touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[test]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

.venv-oldest/.test: pyproject.toml requirements-oldest.txt
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --upgrade pip
	.venv-oldest/bin/python -m pip install --quiet -e ".[test]" -r requirements-oldest.txt
	touch $@

clean:
	rm -rf .venv .venv-ci .venv-oldest $(PICTURES) build dist
