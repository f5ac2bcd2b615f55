"""A small collection, and an experiment over it with the tiny base."""

import json

import pytest

WORDS = ["water boils", "a long river", "old iron", "white salt", "night birds", "grey stone"]

EXPERIMENT = """\
title: A test
seed: 7
measures: [nDCG@3, RR]
search_depth: 6
defaults: {{base: {base}, over: BM25, depth: 3, max_length: 48}}
collections:
  small: {{source: {folder}, pairs: [[tr, en], [de, en]], queries: 3, parallel: true}}
systems:
  BM25: {{search: bm25, analysis: words}}
  dense: {{search: dense}}
  "adapters, {{routing}}": {{rerank: adapter, routing: [none, query, split]}}
  "deeper, {{depth}}": {{rerank: adapter, routing: split, depth: [2, 4]}}
  "mixed, {{weight}}": {{rerank: adapter, routing: split, interpolate: {{weight: [0, 0.5, 1]}}}}
compare:
  - {{system: ["adapters, split", "adapters, query"], against: ["adapters, none", BM25]}}
"""


@pytest.fixture(scope="session")
def beir(tmp_path_factory):
    """A BEIR folder: six documents, six queries of the same words, one relevant document each."""
    folder = tmp_path_factory.mktemp("experiment") / "small"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{i}", "text": f"{w} and {WORDS[i - 1]}"} for i, w in enumerate(WORDS)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [{"_id": f"q{i}", "text": w} for i, w in enumerate(WORDS)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    qrels = "".join(f"q{i}\td{i}\t1\n" for i in range(6))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels)
    return folder


@pytest.fixture
def written(tmp_path):
    """written(text) -> the path of an experiment's file."""

    def write(text):
        path = tmp_path / "experiment.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def small(tiny_zoo, tiny_base, beir, written, monkeypatch):
    """The file of the experiment."""
    monkeypatch.setenv("POLYRANK_ZOO", str(tiny_zoo))
    return written(EXPERIMENT.format(base=tiny_base.name, folder=beir))
