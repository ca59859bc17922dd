# make help lists the targets. PROFILE and DATA choose how long to train and on what, TORCH which build of PyTorch. With CHECK=1 `make figures` fails when
# a number or a figure differs from the stored one.
PROFILE ?= quick
DATA ?=
PYTHON ?= python3
TORCH ?= default
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
export PYTHONPATH := $(CURDIR)
# One thread each: more would wait for those of the other processes.
UNIT_TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --dist loadfile tests

.DEFAULT_GOAL := help
.PHONY: help figures notebooks test check bench lab reset assignment data site serve clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  TORCH=cpu: PyTorch without CUDA, 2 GB of packages instead of 6 (Linux)"
	@echo "  PROFILE=quick|full (now $(PROFILE)); DATA=folder with the real datasets (now $(or $(DATA),the embedded faces))"

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m fkp_utils.course.install $(VENV) --torch $(TORCH)
	@touch $(READY)

figures: $(READY) ## run the notebooks and build the website
	@$(BIN)/python -m fkp_utils.website.run_notebooks --profile "$(PROFILE)" --data "$(DATA)" $(if $(CHECK),--check)

notebooks: $(READY) ## as figures, and keep the outputs in the notebooks
	@$(BIN)/python -m fkp_utils.website.run_notebooks --store

test: $(READY) ## unit tests and the notebooks' stored outputs
	@$(UNIT_TESTS)
	@$(BIN)/python -m pytest -q notebooks

check: $(READY) ## ruff, mypy and the tests that take no training and no browser (half a minute to two)
	@$(UNIT_TESTS) -m "not training and not browser"

bench: $(READY) ## measure speed and memory, write bench/README.md (half an hour)
	@for name in epoch step memory baseline heatmaps predict photos camera growth together; do $(BIN)/python bench/speed/$$name.py || exit 1; done

lab: $(READY) ## open the notebooks in JupyterLab
	@$(BIN)/python -m fkp_utils.course.lab

reset: $(READY) ## bring the notebooks back to how they came (says what goes, and asks)
	@$(BIN)/python -m fkp_utils.course.reset

assignment: $(READY) ## write a class's editions of the notebooks for nbgrader (COURSE=folder, else build/assignment)
	@$(BIN)/python -m fkp_utils.course.assignment $(if $(COURSE),"$(COURSE)")

data: $(READY) ## download the official datasets (ACCEPT_TERMS=1 accepts their terms)
	@$(BIN)/python -m fkp_utils.datasets.download

site: $(READY) ## render the page again and make its demo (needs npm)
	@$(BIN)/python -m fkp_utils.website.page
	@$(BIN)/python -m fkp_utils.website.demo

serve: ## show the website on http://localhost:8000
	@$(PYTHON) -m fkp_utils.website.serve

clean: ## remove what can be made again; checkpoints of trainings, copies in build/before_reset, build/assignment and data/personal stay
	rm -rf $(VENV) .pytest_cache .ruff_cache
	[ ! -d build ] || find build \( -name before_reset -o -name assignment -o -name checkpoints \) -prune -o ! -type d -exec rm -f {} +
	[ ! -d build ] || find build -depth -type d -empty -exec rmdir {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
