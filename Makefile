# Every target is a Python command, too, on any system: python -m fkp_utils.course TARGET; `make help` lists them.
# PROFILE and DATA choose how long to train and on what, TORCH which build of PyTorch. With CHECK=1 `make figures` fails when
# a number or a figure differs from the stored one.
PROFILE ?= quick
DATA ?=
TORCH ?= default
VENV := .venv
PYTHON ?= $(if $(wildcard $(VENV)/.installed),$(VENV)/bin/python,python3)
export PYTHONPATH := $(CURDIR)
TARGETS := figures notebooks test check bench lab reset assignment data site serve clean

.DEFAULT_GOAL := help
.PHONY: help python $(TARGETS)

help: python
	@$(PYTHON) -m fkp_utils.course --help
	@echo
	@echo "make TARGET does the same, with TORCH=cpu, PROFILE=quick|full (now $(PROFILE)), CHECK=1, COURSE=folder, ACCEPT_TERMS=1,"
	@echo "ALLOW_ROOT=1, and DATA=folder with the real datasets (now $(or $(DATA),the embedded faces))"

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }

$(filter-out serve clean,$(TARGETS)): INSTALL = --torch $(TORCH)
figures: OPTIONS = --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)") $(if $(CHECK),--check)
lab: OPTIONS = $(if $(ALLOW_ROOT),--allow-root)
assignment: OPTIONS = $(if $(COURSE),"$(COURSE)")
data: OPTIONS = $(if $(filter 1,$(ACCEPT_TERMS)),--accept-terms)

$(TARGETS): python
	@$(PYTHON) -m fkp_utils.course $@ --venv "$(VENV)" $(INSTALL) $(OPTIONS)
