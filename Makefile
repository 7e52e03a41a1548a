PYTHON ?= python

.PHONY: check test format checkpoint

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

checkpoint: ## train the small checkpoint that ships with the package, and put it in its place
	$(PYTHON) -m telos collect --recipe rooms --out runs/checkpoint/data
	$(PYTHON) -m telos train --recipe rooms --data runs/checkpoint/data --out runs/checkpoint
	mkdir -p telos/assets/rooms
	cp runs/checkpoint/model/config.json runs/checkpoint/model/model.safetensors runs/checkpoint/metrics.jsonl telos/assets/rooms/
