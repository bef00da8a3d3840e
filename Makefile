# Both commands need git, make and Python >= 3.11, nothing else: each makes its environment.
PYTHON ?= python3
VENV ?= .venv
PICTURES ?= demo
ifeq ($(OS),Windows_NT)
SCRIPTS = Scripts
else
SCRIPTS = bin
endif
BIN = $(VENV)/$(SCRIPTS)
TOOLS = -c requirements-tools.txt

.PHONY: demo examples test slow properties mutants lint oldest newest test-newest nightly package audit bench docs clean

IN_DEMO = examples/plot_natural_image_edges.py examples/plot_digits_grid_search.py
EXAMPLES = $(sort $(wildcard examples/plot_*.py))

# `make demo WARNINGS=error` stops at warnings.
demo: $(VENV)/.demo
	mkdir -p $(PICTURES)
	set -e; for script in $(IN_DEMO); do \
		SKL_SAE_PICTURES=$(PICTURES) MPLBACKEND=agg $(BIN)/python \
			$(if $(WARNINGS),-W $(WARNINGS)) "$$script"; done
	@echo "The pictures are in $(abspath $(PICTURES)): $$(cd $(PICTURES) && ls *.png | tr '\n' ' ')"

# Warnings as errors; `make examples DEMO=0` leaves out the two of `make demo`.
examples: $(VENV)/.demo
	mkdir -p $(PICTURES)
	set -e; for script in $(if $(filter 0,$(DEMO)),$(filter-out $(IN_DEMO),$(EXAMPLES)),$(EXAMPLES)); do \
		echo "$$script"; \
		SKL_SAE_PICTURES=$(PICTURES) MPLBACKEND=agg $(BIN)/python -W error "$$script"; done

# Of the processes that share the work each has one thread for BLAS, but where a test takes more.
PYTEST = -m pytest -q -n auto
test slow oldest test-newest nightly package: export OMP_NUM_THREADS = 1
test slow oldest test-newest nightly package: export OPENBLAS_NUM_THREADS = 1

test: $(VENV)/.test
	$(BIN)/python $(PYTEST) -m "not slow" $(COVERAGE)

# Clusters, forks, interrupts, default fits through all checks of scikit-learn, the pages' code.
slow: $(VENV)/.test
	$(BIN)/python $(PYTEST) -m slow

# The tests of properties with thousands of new examples; a failure tells how to repeat it.
properties: $(VENV)/.test
	$(BIN)/python -m pytest -q -n auto --hypothesis-profile=long tests/test_properties.py

# Mutation testing of the core, by hand: which mistakes the tests would not see. Run again, it
# goes on where it was interrupted; `docs/architecture.rst` has the last result.
mutants: $(VENV)/.mutants
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/mutmut results

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Whether the comparison with other packages runs; `CONTRIBUTING.md` says how it is measured.
bench: $(VENV)/.demo
	MPLBACKEND=agg $(BIN)/python benchmarks/compare.py --quick --out build/benchmarks

# The site, warnings as errors, and checks of its pages; `make docs GALLERY=0` does not run the examples.
docs: $(VENV)/.docs
	mkdir -p build
	SKL_SAE_PICTURES=$(abspath build) MPLBACKEND=agg $(BIN)/python -m sphinx -W --keep-going \
		$(if $(filter 0,$(GALLERY)),-D plot_gallery=0) -d build/doctrees docs build/docs
	$(BIN)/python docs/check_pages.py build/docs
	@echo "The first page is $(abspath build/docs/index.html)"

# With the oldest versions that pyproject.toml admits, and scikit-learn's checks of default parameters.
oldest: .venv-oldest/.test
	.venv-oldest/$(SCRIPTS)/python $(PYTEST) -m "not slow"
	.venv-oldest/$(SCRIPTS)/python $(PYTEST) tests/test_conformance.py -k default_parameters

# And with the newest Python that is installed, if it is newer than $(PYTHON), and all that is
# newest for it. Each is run to see: a shim of pyenv may stand for one that is not there.
CANDIDATES = python3.14 python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/*/bin/python3)
IF_NEWER = import sys; v = sys.version_info; this = "%d.%d" % v[:2]; \
	v[3] == "final" and v[:2] > tuple(map(int, sys.argv[1].split("."))) and print(this, sys.executable)

newest:
	@set -e; than=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	found=$$(for each in $(CANDIDATES); do "$$each" -c '$(IF_NEWER)' $$than 2>/dev/null || :; done \
		| sort -V | tail -1 | cut -d' ' -f2-); \
	if [ -z "$$found" ]; then echo "No Python newer than $$than is installed: make newest runs make slow instead."; \
		$(MAKE) --no-print-directory slow; \
	else $(MAKE) --no-print-directory test-newest NEWEST="$$found"; fi

test-newest:
	"$(NEWEST)" -m venv --clear .venv-newest
	.venv-newest/$(SCRIPTS)/python -m pip install --quiet --upgrade pip
	.venv-newest/$(SCRIPTS)/python -m pip install --quiet --upgrade -e ".[test]" $(TOOLS)
	.venv-newest/$(SCRIPTS)/python $(PYTEST)

# And with versions to come, which may fail: pre-releases, or what pip is told by NIGHTLY, such
# as an index of nightly wheels.
nightly:
	$(PYTHON) -m venv --clear .venv-nightly
	.venv-nightly/$(SCRIPTS)/python -m pip install --quiet -e ".[test]"
	.venv-nightly/$(SCRIPTS)/python -m pip install --quiet --upgrade --pre $(NIGHTLY) numpy scipy scikit-learn
	.venv-nightly/$(SCRIPTS)/python $(PYTEST)

# What the sdist holds, PKG-INFO besides: the files of these that git knows, and no others. The
# wheel holds those of skl_sae and its metadata.
SDIST = skl_sae tests examples docs conftest.py Makefile README.md LICENSE SECURITY.md CHANGES.md CITATION.cff \
	pyproject.toml requirements-tools.txt .gitignore

# The tests that load every module of the wheel and of what it works with.
PACKAGED = callbacks conformance display docs ecosystem onnx persistence security

# Builds wheel and sdist, and runs tests of the sdist on the installed wheel, outside this folder's
# code: PYTHONPATH comes before the paths of $(VENV), which lends what only the tests need.
package: $(VENV)/.test
	rm -rf dist build/package build/again .venv-package
	$(PYTHON) -m venv .venv-package
	.venv-package/$(SCRIPTS)/python -m pip install --quiet build twine $(TOOLS)
	.venv-package/$(SCRIPTS)/python -m build --outdir dist .
	.venv-package/$(SCRIPTS)/python -m twine check --strict dist/*
	.venv-package/$(SCRIPTS)/python -m build --outdir build/again .
	set -e; for file in dist/*; do cmp "$$file" "build/again/$${file##*/}"; done  # the same bytes again
	mkdir -p build/package
	tar -tzf dist/*.tar.gz | cut -d/ -f2- | grep -v '/$$' | sort > build/sdist.txt
	(git ls-files $(SDIST); echo PKG-INFO) | sort | diff - build/sdist.txt
	$(PYTHON) -m zipfile -l dist/*.whl | sed '1d;s/ .*//' | sort > build/wheel.txt
	(git ls-files skl_sae; for name in METADATA RECORD WHEEL licenses/LICENSE; do \
		sed -n "s,^\(.*dist-info/\)METADATA$$,\1$$name,p" build/wheel.txt; done) | sort | diff - build/wheel.txt
	tar -xzf dist/*.tar.gz -C build/package --strip-components 1
	rm -r build/package/skl_sae
	.venv-package/$(SCRIPTS)/python -m pip install --quiet dist/*.whl $(TOOLS)
	cd build/package && export PYTHONPATH=$$(../../.venv-package/$(SCRIPTS)/python -c \
		'import skl_sae, pathlib; print(pathlib.Path(skl_sae.__file__).parents[1])') && \
		$(abspath $(BIN))/python $(PYTEST) -m "not slow" -o testpaths=tests \
		$(PACKAGED:%=tests/test_%.py) --pyargs skl_sae

# Known weaknesses of what the package and its extras install; needs the network.
audit:
	$(PYTHON) -m venv --clear .venv-audit
	.venv-audit/$(SCRIPTS)/python -m pip install --quiet --upgrade pip
	.venv-audit/$(SCRIPTS)/python -m pip install --quiet ".[callbacks,dask,examples,onnx]" pip-audit $(TOOLS)
	.venv-audit/$(SCRIPTS)/python -m pip_audit --skip-editable --progress-spinner off

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[examples]"
	touch $@

$(VENV)/.test: pyproject.toml requirements-tools.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[test]" $(TOOLS)
	touch $@

$(VENV)/.mutants: pyproject.toml requirements-tools.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[mutants]" $(TOOLS)
	touch $@

$(VENV)/.docs: pyproject.toml requirements-tools.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[docs]" $(TOOLS)
	touch $@

$(VENV)/.dev: pyproject.toml requirements-tools.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[dev]" $(TOOLS)
	touch $@

.venv-oldest/.test: pyproject.toml requirements-oldest.txt requirements-tools.txt
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/$(SCRIPTS)/python -m pip install --quiet --upgrade pip
	.venv-oldest/$(SCRIPTS)/python -m pip install --quiet -e ".[test]" -r requirements-oldest.txt $(TOOLS)
	touch $@

clean:
	rm -rf .venv .venv-ci .venv-oldest .venv-newest .venv-nightly .venv-package .venv-audit $(PICTURES) build dist
	rm -rf docs/generated docs/auto_examples mutants
