PYTHON ?= python

.PHONY: check test format

check: ## everything that reads the code without running it
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright
	$(PYTHON) -m codespell_lib
	$(PYTHON) -c "from importlinter.cli import lint_imports_command as check; check()"

test: ## the test suite, on two processes
	$(PYTHON) -m pytest -n 2

format: ## rewrite the code in the house format
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
