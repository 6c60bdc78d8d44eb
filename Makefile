# make demo: set everything up and draw one steered picture. make test: the tests. make serve: the service until Ctrl-C.
SHELL := /bin/sh
BIN := .venv/bin

.PHONY: demo serve test check setup setup-dev bench clean

demo: setup
	@$(BIN)/maxwell demo --out demo-output

serve: setup
	@$(BIN)/maxwell up

test: setup-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.house_rules

bench: setup-dev
	@$(BIN)/python -m bench.job
	@$(BIN)/python -m bench.slow_judge
	@$(BIN)/python -m bench.seeds

setup:
	@./deploy/install.sh all

setup-dev:
	@./deploy/install.sh dev

clean:
	rm -rf .venv .maxwell demo-output
