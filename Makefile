PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOSTS ?= 3
SECONDS ?= 600
STAMP := $(VENV)/.stamp
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE # where it is set, every start of Ansible compiles it anew

.PHONY: help setup packages kubernetes run demo test lint bench fuzz fuzz-guest lab lab-down dist clean

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything

$(STAMP): pyproject.toml constraints.txt galaxy.yml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	sh tests/lab/libvirt.sh $(BIN)/python
	touch $@

run: setup ## Start the server on 127.0.0.1:8000 (ARGS="--data-dir DIR ...")
	$(BIN)/commissaire-server $(ARGS)

packages: setup
	sh tests/lab/packages.sh

demo: packages ## Restart a cluster of HOSTS=3 real machines, and prove it
	PYTHONPATH=tests $(BIN)/python -m demo --hosts $(HOSTS) $(ARGS)

kubernetes: packages ## Build the Kubernetes that the tests run, with Go, where it is not built yet
	PYTHONPATH=tests $(BIN)/python -m k8s

test: packages kubernetes ## Run all tests, on all processors, but never two of one file at once
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style, types, YAML and Ansible content
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline

bench: packages ## Measure, against what a user would use instead
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

fuzz: setup ## Send a server whatever its OpenAPI document allows and forbids, for SECONDS=600
	PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(SECONDS) $(ARGS)

fuzz-guest: setup ## Send the guest agent's parsers whatever there is, for SECONDS=600
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[fuzz]'
	PYTHONPATH=tests:roles/guest_agent/files $(BIN)/python -m fuzz.guest_agent --seconds $(SECONDS) $(ARGS)

lab: packages ## Start a lab of HOSTS=3 machines, and say how to reach them
	PYTHONPATH=tests $(BIN)/python -m lab up --hosts $(HOSTS)

lab-down: packages ## Remove the lab
	PYTHONPATH=tests $(BIN)/python -m lab down

dist: setup ## Build the wheel, the sdist and the collection archive
	$(BIN)/python -m build --outdir dist
	$(BIN)/ansible-galaxy collection build --force --output-path dist

clean: ## Remove what the targets made
	rm -rf $(VENV) dist
