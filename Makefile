# `make help` lists what can be made. Everything runs in .venv, which the first command creates.
# PYTHON=python3.12 make .venv chooses the interpreter; MINIDIFF_DATA=FOLDER says where data sets lie already.

PYTHON ?= python3
MINUTES ?= 10
GPU ?=

VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/installed
NO_NETWORK := PYTHONPATH="$(CURDIR)/tests/no_network"
WORKERS := -n 2
NBVAL := $(NO_NETWORK) $(VENV_PYTHON) -m pytest --nbval --nbval-cell-timeout=120 -p no:cacheprovider
# A worker of one thread and a worker of two, each of which runs every cell: no digit may hang on the number of threads.
# Threads that wait sleep: by default they spin, and take the core that the other worker could use.
ONE_AND_TWO_THREADS := --dist each --tx popen//env:OMP_NUM_THREADS=1 --tx popen//env:OMP_NUM_THREADS=2

.DEFAULT_GOAL := help
.PHONY: help .venv demo test test-all lab chapters classroom gpu clean

help: ## this list
	@sed -n 's/^\([.a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv: $(INSTALLED) ## install the pinned packages into .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) must be Python 3.11 or newer; say which one to take: PYTHON=python3.12 make"; exit 1; }
	$(PYTHON) -m venv .venv
	$(VENV_PYTHON) -m pip install --quiet -c constraints.txt -e ".[notebooks,test]"
	$(VENV_PYTHON) -c "import matplotlib.font_manager"
	@touch $@

demo: $(INSTALLED) ## train a DDPM on digits for MINUTES (10), draw 100 of them and measure them
	$(VENV_PYTHON) -m minidiff demo --minutes $(MINUTES)

# The tests of a chapter, tests/chNN, are run by tests/course/test_truncated.py, without the modules of later chapters.
test: $(INSTALLED) ## everything that CI runs: the tests, and every chapter with one thread and with two
	OMP_NUM_THREADS=1 $(VENV_PYTHON) -m pytest $(WORKERS) --dist worksteal --ignore-glob="tests/ch[0-9]*" tests
	OMP_WAIT_POLICY=passive $(NBVAL) $(ONE_AND_TWO_THREADS) chapters

test-all: test ## the same, and every notebook of the solutions
	$(NBVAL) solutions

lab: $(INSTALLED) ## open JupyterLab
	$(VENV_PYTHON) -m jupyterlab

chapters: $(INSTALLED) ## execute the solutions and derive the chapters from them
	$(VENV_PYTHON) -m minidiff.grading build

classroom: $(INSTALLED) ## for teachers: nbgrader beside the course, in .venv
	$(VENV_PYTHON) -m pip install --quiet -c constraints.txt -e ".[classroom]"

gpu: $(INSTALLED) ## on a machine with CUDA, in 8 minutes: its tests, two recipes trained and measured
	$(VENV_PYTHON) benchmarks/gpu.py $(GPU)

clean: ## remove .venv, out and caches; your work and the data sets stay
	rm -rf .venv out build *.egg-info .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
