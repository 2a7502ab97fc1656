# make demo    the demo: MPLE's Table 1 on a generated corpus, then the table and where the report lies
# make test    the tests
# make lint    the linters
# make mutants [ROOM=proxy] [SAMPLE=200]    which small changes of the code the tests notice; not in CI (docs/testing.md)
# Each makes .venv from requirements.lock first. PYTHON=... names the Python to make it with, CORES=... how many to use.

ROOM ?= families proxy losses criterion models select decoding metrics measuring report papers
PYTHON ?= python3.11 python3.12 python3
# nproc would say how many threads OpenMP may have, where that is set
CORES ?= $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)

supported := import sys; sys.exit(sys.implementation.name != "cpython" or sys.version_info[:2] not in ((3, 11), (3, 12)))
python = $(shell for python in $(PYTHON); do "$$python" -c '$(supported)' 2>/dev/null && echo "$$python" && break; done)
compiler = $(shell command -v $(CXX) || command -v c++ || command -v g++ || command -v clang++)
in_venv := PATH="$(CURDIR)/.venv/bin:$$PATH"

.PHONY: demo test lint mutants

demo: .venv/made
	$(in_venv) snakemake --cores $(CORES)
	@$(in_venv) natlab show reports/demo/tables/mple.table1.md

# One thread a worker: the workers take the cores.
test: .venv/made
	$(in_venv) OMP_NUM_THREADS=1 pytest -n $(CORES) --dist loadfile

lint: .venv/made
	$(in_venv) ruff check
	$(in_venv) ruff format --check
	$(in_venv) snakefmt --check Snakefile workflow
	$(in_venv) snakemake --lint

# A core takes one room at a time; what was found is kept, so that this goes on where it was stopped.
mutants: .venv/made
	@printf '%s\n' $(ROOM) | $(in_venv) xargs -n 1 -P $(CORES) nice python tests/mutants.py try
	@$(in_venv) python tests/mutants.py show $(ROOM)

# The last line marks the environment as whole; without it the next make starts afresh. PIP_CONSTRAINT holds for what
# packages need to be built, too.
.venv/made: requirements.lock requirements-cuda.lock
	$(if $(python),,$(error natlab needs CPython 3.11 or 3.12, and none of these is: $(PYTHON); name one with PYTHON=/path/to/python))
	$(if $(compiler),,$(error natlab needs a C++ compiler to build fairseq, and found none of c++, g++, clang++; install one))
	@echo "making .venv with $(python) from requirements.lock: some minutes"
	@"$(python)" -m venv --clear .venv
	@.venv/bin/pip install -qq --disable-pip-version-check "$$(grep '^pip==' requirements.lock)"
	@CXX="$(compiler)" PIP_CONSTRAINT=requirements.lock .venv/bin/pip install -qq --requirement requirements.lock
	@.venv/bin/pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@
