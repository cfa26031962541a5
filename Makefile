# What one does with a checkout. `make` lists it; `make run` and `make test` set up .venv by themselves.
#
# .venv/.runtime and .venv/.checks say what is installed: they are older than a file that decides it
# when something has to be installed, and only then is the package index asked.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo "$$python" && break; done)
MODELS ?= models
JOBS ?= $(wildcard training/jobs/*.toml)
# What `make run` trains: a minute of it. `make train` trains the others, too.
FIRST ?= $(addprefix training/jobs/,breast_cancer.toml digits.toml iris.toml temple_or_flower.toml)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
COMPOSE := docker compose --project-name sigmax-e2e

define TRAIN_MISSING
missing=; \
for job in $(FIRST); do \
	name=$$(basename "$$job" .toml); \
	ls $(MODELS)/"$$name"/*/manifest.json > /dev/null 2>&1 || missing="$$missing $$job"; \
done; \
[ -z "$$missing" ] || $(BIN)/sigmax-train run $$missing --models $(MODELS)
endef

# ONNX Runtime reports to its makers unless told not to.
export ORT_DISABLE_TELEMETRY := 1

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help run train serve test lint proto released compose clients fuzz conform-peers models learn lifecycle bench bench-stream pins clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: .venv/.runtime  ## Train the first example models if they are missing, then serve what is there
	@$(TRAIN_MISSING)
	@exec $(BIN)/sigmax serve --models $(MODELS)

train: .venv/.runtime  ## Train every example job; what is published already stays as it is
	$(BIN)/sigmax-train run $(JOBS) --models $(MODELS)

serve: .venv/.runtime  ## Serve what is in models/
	@exec $(BIN)/sigmax serve --models $(MODELS)

test: lint  ## Run every check that needs no Docker and no network
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: .venv/.checks  ## Run the linters, the type checker, the layers and the wire contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/released.binpb

proto: .venv/.checks  ## Generate service/sigmax/wire from proto/
	$(BIN)/python proto/generate.py

released: .venv/.checks  ## Declare the protos released: from now on nothing may break them
	$(BIN)/buf build proto --exclude-source-info --output proto/released.binpb

# A project name of its own: a stack that someone has running here keeps its containers and its volume.
compose: .venv/.checks  ## Build the images, bring the stack up, ask both doors, take it down
	@trap '$(COMPOSE) down --volumes --remove-orphans' EXIT; trap 'exit 1' HUP INT TERM; \
	export SIGMAX_REST_PORT=0 SIGMAX_GRPC_PORT=0; \
	$(COMPOSE) build || exit; \
	echo "==> training the example jobs in a container, then serving them: about two minutes"; \
	$(COMPOSE) up --detach --wait serve || { $(COMPOSE) logs; exit 1; }; \
	$(BIN)/python -m pytest -m image tests/e2e $(ARGS)

clients: .venv/.checks build/triton/.installed build/kserve-client/.installed  ## Ask the service with other projects' clients, each in an environment of its own
	$(BIN)/python -m pytest -m clients tests/clients $(ARGS)

fuzz: .venv/.checks build/fuzz/.installed  ## Fuzz both doors: a million inputs a target; ARGS="--only surface --seconds 60": one part
	@$(TRAIN_MISSING)
	$(BIN)/python -m tests.fuzz.run --models $(MODELS) $(ARGS)

conform-peers: .venv/.checks build/mlserver/.installed build/kserve/.installed  ## Ask Sigmax, MLServer and KServe the checklist of the protocol, write docs/conformance.md
	$(BIN)/python -m tests.peers.table

models: .venv/.checks  ## Measure the table in docs/models.md anew: how exactly each kind of model is served
	$(BIN)/python -m tests.models.table

learn: .venv/.checks  ## Run the course in docs/learn, draw its plots anew, write it as build/learn/index.html
	$(BIN)/python -m tests.docs.render

lifecycle: .venv/.checks  ## Renew, kill and stop workers under load, fifty and twenty times: some five minutes
	$(BIN)/python -m pytest -m lifecycle --capture=no tests/integration/test_lifecycle_long.py $(ARGS)

bench: .venv/.checks  ## Measure the service beside bare servers and others: 20 minutes; ARGS="--effort quick": 7
	@$(TRAIN_MISSING)
	$(BIN)/python -m benchmarks --models $(MODELS) --output docs/benchmarks.md $(ARGS)

bench-stream: .venv/.checks  ## Measure training on ten million rows beside scikit-learn: a quarter of an hour, 2 GB of build/
	$(BIN)/python -m benchmarks.streaming --output docs/training-benchmarks.md $(ARGS)

pins:  ## Resolve constraints.txt anew, to the newest versions that the pyproject files admit
	rm -rf build/pins && $(PYTHON) -m venv build/pins
	build/pins/bin/python -m pip install --quiet --upgrade pip
	build/pins/bin/python -m pip install --group build --group check --editable 'service[serve]' --editable training
	grep '^#' constraints.txt > build/pins.txt
	build/pins/bin/python -m pip list --format freeze --exclude-editable >> build/pins.txt
	mv build/pins.txt constraints.txt && rm -rf build/pins

clean:  ## Remove .venv and every cache; models/ stays
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find service training tests benchmarks proto -name __pycache__ -type d -prune -exec rm -rf {} +

define ENVIRONMENT
@echo "==> build/$*: $*, with what it needs"
@$(BIN)/python -m venv build/$*
@build/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
@touch $@
endef

build/%/.installed: tests/clients/%.txt .venv/.python
	$(ENVIRONMENT)

build/%/.installed: tests/peers/%.txt .venv/.python
	$(ENVIRONMENT)

build/fuzz/.installed: tests/fuzz/requirements.txt .venv/.python constraints.txt service/pyproject.toml
	@echo "==> build/fuzz: atheris and Schemathesis beside the service"
	@$(BIN)/python -m venv build/fuzz
	@build/fuzz/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	@build/fuzz/bin/python -m pip install --quiet --constraint constraints.txt --group build --requirement tests/fuzz/requirements.txt
	@build/fuzz/bin/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable 'service[serve]'
	@touch $@

.venv/.python:
	@[ -n "$(PYTHON)" ] || { echo "Sigmax needs Python 3.11 or newer and found none; name one: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sigmax needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0])'
	@echo "==> .venv: a virtual environment of $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.runtime: .venv/.python constraints.txt service/pyproject.toml training/pyproject.toml
	@echo "==> .venv: pip and the build back-end"
	@$(INSTALL) pip
	@$(INSTALL) --group build
	@echo "==> .venv: sigmax and what it needs to serve (numpy, onnxruntime, grpcio, ...)"
	@$(INSTALL) --no-build-isolation --editable 'service[serve]'
	@echo "==> .venv: sigmax-training and what it needs to train (scikit-learn, onnx, ...)"
	@$(INSTALL) --no-build-isolation --editable training
	@touch $@

.venv/.checks: .venv/.runtime pyproject.toml
	@echo "==> .venv: what the checks need (pytest, mypy, ruff, buf, ...)"
	@$(INSTALL) --group check
	@touch $@
