# The commands of this repository. `make` lists them; `make test` is the one gate, and CI runs nothing else.
# Wanted: Rust, a C compiler, Python 3 and make. Everything fetched goes into git-ignored folders; root is not needed.

PYTHON ?= python3
# Further arguments of `make run`, as in: make run ARGS="--listen 127.0.0.1:9000 --predictors personal,domain"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help build run test train-env test-models fix advisories clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## compile the release binary and fetch ONNX Runtime's library
	$(PYTHON) models/fetch_runtime.py
	cargo build --release --package foretype

run: build ## build, then serve on http://127.0.0.1:8080 (ARGS="…" for options)
	target/release/foretype serve $(ARGS)

test: ## the gate: format, lints, tests, documentation, licences, Python, JavaScript, clients, browser, alerts
	@$(PYTHON) tools/gate.py

# The environment of models/train, torch included; made anew when its requirements change.
.venv-train/installed: models/train/requirements.txt models/train/requirements-torch.txt
	$(PYTHON) -m venv .venv-train
	.venv-train/bin/pip install --quiet --disable-pip-version-check -r models/train/requirements-torch.txt
	touch $@

train-env: .venv-train/installed ## install what models/train needs, torch included (7 GB), into .venv-train

test-models: .venv-train/installed ## the tests of models/train: from a tiny corpus to a graph, with torch
	cd models/train && ../../.venv-train/bin/python -m unittest discover --start-directory tests --top-level-directory .

fix: ## format the Rust and apply what the linters can mend
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all

advisories: ## known vulnerabilities in the dependencies (needs the advisory database from the network)
	PATH="$(CURDIR)/.tools/bin:$$PATH" cargo deny check advisories

clean: ## remove what was built or fetched
	rm -rf target .runtime .venv .venv-train .tools tests/clients/node_modules
