# What there is to do with this repository; `make` or `make help` lists it.
# A fresh machine needs python3 (3.11 or newer), make, and the package registries. Root on Debian gets the rest installed;
# others are told the command.

PYTHON ?= python3
BIN := .venv/bin
TOOL := PYTHONPATH=tests $(PYTHON) -m cluster_tool
STAMP := .venv/.installed
TYPED_TESTS := tests/cluster_tool tests/fixtures tests/conftest.py

.DEFAULT_GOAL := help
.PHONY: help setup test bench bench-operator bench-zero bench-scaling demo lint format verify lock crds cluster cluster-down clean clean-cache

help: ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
	  printf '  make %-15s %s\n' "$$name" "$$text"; done

setup: ## make .venv with the locked packages, and redis-server for the tests
	@PYTHON="$(PYTHON)" scripts/setup

test: setup ## run every test; brings up what they need (ARGS="tests/unit -k name" runs some)
	$(BIN)/python -m pytest $(ARGS)

bench: setup ## speed beside BullMQ, dramatiq, arq and others, measured here (ARGS="--quick", ARGS="--peer bullmq"; bench/run --help)
	bench/run $(ARGS)

bench-scaling: setup ## waiting and cost of our scaling beside KEDA and the HPA, simulated on five traces (seconds)
	$(BIN)/python -m bench.scaling $(ARGS)

bench-operator: setup ## the operator with 1,000 queues and pools on a real API server (ARGS="--quick", ARGS="--queues 5000")
	PYTHONPATH=tests $(BIN)/python -m bench.operator $(ARGS)

bench-zero: setup ## from an enqueue to the first completed job of a pool at zero, on real Pods (ARGS="--rounds 30")
	PYTHONPATH=tests $(BIN)/python -m bench.zero $(ARGS)

demo: setup ## the whole path on a real cluster, from apply to thumbnails and back to zero workers (KEEP=1 keeps it up)
	KEEP=$(KEEP) $(BIN)/python examples/photos/demo.py

lint: setup ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=tests $(BIN)/mypy $(TYPED_TESTS)
	MYPYPATH=tests:examples/photos $(BIN)/mypy bench --exclude 'bench/peers/.*_peer|bench/peers/agent'
	$(BIN)/lint-imports

format: setup ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

verify: lint ## lint, and what is generated equals what is committed
	$(BIN)/python -m jobfleet_operator.crd --check crds

crds: setup ## generate crds/ and the chart's copy from the models
	$(BIN)/python -m jobfleet_operator.crd crds
	cp crds/*.yaml charts/jobfleet/files/crds/

lock: setup ## pin the newest versions of all dependencies (needs uv)
	uv pip compile pyproject.toml --extra operator --extra fast --extra encryption --universal --upgrade \
	  --no-header --no-annotate --quiet --output-file requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --upgrade --constraint requirements.lock \
	  --no-header --no-annotate --quiet --output-file requirements-dev.lock

cluster: ## bring up a cluster to play with (NAME=jobfleet); prints its kubeconfig
	@$(TOOL) up --name $(or $(NAME),jobfleet)

cluster-down: ## take that cluster down (NAME=jobfleet)
	@$(TOOL) down --name $(or $(NAME),jobfleet)

clean: ## take every cluster of this machine's user down and remove what was built here
	@$(TOOL) down --all
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build .demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-cache: clean ## also remove the cached builds of Kubernetes and images (the next start takes minutes)
	@$(TOOL) forget
