"""A few questions with two passages each, as rows, as files and as a batch maker."""

from __future__ import annotations

import json

import pytest

from polyrank.collections.records import Document, Query
from polyrank.training.examples.negatives import Example

PASSAGES = {
    "p1": "water boils at hundred degrees",
    "p2": "the river",
    "p3": "the passage at the river",
    "p4": "yes the question",
}


@pytest.fixture(scope="session")
def passages():
    """Id → document."""
    return {name: Document(name, text) for name, text in PASSAGES.items()}


@pytest.fixture(scope="session")
def examples():
    """Three questions with a positive, two negatives, and a teacher's scores."""
    return [
        Example(Query("q1", "does water boil"), ("p1",), ("p2", "p3"), teacher=(3.0, 1.0, 2.0)),
        Example(Query("q2", "the river"), ("p2",), ("p1", "p4"), teacher=(5.0, 0.0, 1.0)),
        Example(Query("q3", "a question"), ("p4",), ("p3", "p2"), teacher=(1.0, 0.0, 2.0)),
    ]


@pytest.fixture(scope="session")
def rows(tmp_path_factory, examples):
    """The files of these questions and passages."""
    from polyrank.training.examples.negatives import write_examples

    folder = tmp_path_factory.mktemp("rows")
    write_examples(folder / "queries.jsonl", examples)
    lines = [json.dumps({"_id": name, "text": text}) for name, text in PASSAGES.items()]
    (folder / "passages.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "queries.jsonl", folder / "passages.jsonl"


@pytest.fixture
def renderer(chat_tokenizer):
    """renderer(prompt) → what renders it for the tiny tokenizer."""
    from polyrank.rerankers.llm.prompt import load_prompt
    from polyrank.rerankers.llm.rendering import Renderer

    def make(prompt, context=1024):
        return Renderer(load_prompt(prompt), chat_tokenizer, context)

    return make


@pytest.fixture
def model(llama):
    """The random Llama, whose weights a test may move."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(llama)


@pytest.fixture
def batches(renderer, examples, passages):
    """batches(objective, prompt=...) → what makes its batches of two questions."""
    from polyrank.training.llm.llm_batches import LLMBatches
    from polyrank.training.llm.objectives import OBJECTIVES

    def make(objective, prompt=None, rows=examples, queries=2, negatives=2, **options):
        entry = OBJECTIVES[objective]
        made = entry.load()(renderer(prompt or entry.prompt), 1 + negatives, **options)
        return LLMBatches(rows, passages, made, "en", queries, negatives, seed=3, switch=5)

    return make
