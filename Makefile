# The whole project in a few commands; `make help` lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
PARAMS ?= quick
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PORT ?= 8080
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help paper serve preview test trials bench check lock clean .venv

help: ## show this list
	@echo "make paper   PARAMS=$(PARAMS)   train, measure, execute, judge and print the paper into _site/"
	@echo "make serve   PORT=$(PORT)      show the printed paper at http://127.0.0.1:$(PORT)/"
	@echo "make preview PORT=$(PORT)      show it and follow every change of its sources"
	@echo "make test                  run the tests"
	@echo "make trials                every attack in full (long); writes docs/trials.md"
	@echo "make bench                 the press beside its peers, ten minutes; writes docs/benchmarks.md (BENCH=quick: below build/)"
	@echo "make check                 lint, types, clean notebooks, file sizes, tests"
	@echo "make lock                  pin the newest versions that fit pyproject.toml into requirements.lock"
	@echo "make clean                 delete what can be made again (artifacts/ build/ _site/)"
	@echo
	@echo "Variables: PARAMS=<preset of params/>, PUBLISHED=1 (compute nothing, print results/), JOBS=<processes>, PORT, PYTHON=<interpreter for .venv>"
	@echo "More: .venv/bin/livingpaper --help, .venv/bin/formation --help"

.venv:
	@$(PYTHON) tools/make_venv.py

paper: .venv ## train, measure, execute, judge and print
	@$(BIN)/livingpaper build --preset $(PARAMS) --jobs $(JOBS) $(if $(PUBLISHED),--published)

serve: .venv
	@$(BIN)/livingpaper serve --port $(PORT)

preview: .venv
	@$(BIN)/livingpaper preview --preset $(PARAMS) --jobs $(JOBS) --port $(PORT) $(if $(PUBLISHED),--published)

test: .venv
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

trials: .venv ## every mutation, kill and attack in full
	@rm -rf build/trials
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests/trials --trials
	@$(BIN)/python tools/trials_table.py

bench: .venv ## speed and memory beside peers
	@$(BIN)/python -m benchmarks $(if $(filter quick,$(BENCH)),--quick)

check: .venv
	@$(BIN)/ruff check src tests tools benchmarks
	@$(BIN)/ruff format --check src tests tools benchmarks
	@$(BIN)/mypy
	@$(BIN)/nbstripout --verify --keep-id chapters/*.ipynb
	@$(BIN)/python tools/check_sizes.py
	@$(MAKE) --no-print-directory test

lock:
	@$(PYTHON) tools/make_lock.py

clean:
	rm -rf artifacts build _site
