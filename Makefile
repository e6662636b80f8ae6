# Two commands do everything on a machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
RUN ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)
# One BLAS thread per process: the decomposition brings its own threads, and they would fight.
THREADS := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: help demo study-small small-nli small-text small-boundary test test-all test-newest bench lint clean

help:
	@echo "make demo      install into $(VENV), run the main job on the embedded model in a new directory (or RUN=DIR)"
	@echo "make study-small  two small bases from plain text, then the three grids of configs/small on them: 90 minutes on two"
	@echo "                  cores; needs ../shared/data beside the repository (docs/benchmarks.md)"
	@echo "make test      install into $(VENV), run the tests that take seconds"
	@echo "make test-all  all tests, the long ones included"
	@echo "make test-newest  the tests on Python 3.12 with the newest release of everything; may fail"
	@echo "make bench     speed against torch, mergekit and transformers into benchmarks/RESULTS.md: 20 minutes on two cores"
	@echo "make lint      ruff and pyright"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/jaxtrunc demo --out-path $(RUN)

# One process a core. Everything resumes: the same command goes on where it was stopped.
study-small: $(VENV)/.installed
	$(MAKE) -j2 small-nli small-boundary
	rm -rf runs/small
	$(BIN)/jaxtrunc collect runs/small_nli runs/small_text runs/small_boundary --out-path runs/small

small-nli small-text: small-%: models/tiny/config.json models/small/config.json
	$(BIN)/jaxtrunc study configs/small/$*.yaml --resume

small-boundary: small-text runs/boundary_ceiling_base/model
	$(BIN)/jaxtrunc study configs/small/boundary.yaml --resume

models/%/config.json: configs/pretrain_%.yaml | $(VENV)/.installed
	$(BIN)/jaxtrunc pretrain $< --out-path $(@D) --resume

# The second variant of the boundary case needs a base that can do the task already: taught on the other half of the rows.
runs/boundary_ceiling_base/model: models/small/config.json
	$(BIN)/jaxtrunc finetune --base-model models/small --task configs/tasks/boundary_ceiling_base.yaml \
	    --out-path runs/boundary_ceiling_base --resume train.learning_rate=1e-3 train.max_widths=2

test: $(VENV)/.installed-test
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist loadfile

test-all: $(VENV)/.installed-test
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'slow or not slow'

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP) -e '.[bench]'
	@touch $@

# One after the other: each script takes a core for itself, and two at a time would share the memory's speed.
bench: $(VENV)/.installed-bench
	for script in decompose levels sweep read finetune curves; do \
	    $(BIN)/python benchmarks/$$script.py || exit 1; done
	$(BIN)/python benchmarks/plan_memory.py --small --out benchmarks/results/plan_memory.json & \
	    $(BIN)/python benchmarks/startup.py || exit 1; wait  # neither measures seconds by the clock
	$(BIN)/python benchmarks/render.py

test-newest:
	.ci/newest.sh

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/pyright

clean:
	rm -rf $(VENV) build dist *.egg-info
