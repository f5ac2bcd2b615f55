"""Translation as a dimension of an experiment: what is read, what is kept, what is refused."""

from __future__ import annotations

import json

import pytest

from polyrank.errors import DataError
from polyrank.experiments.experiment import run_experiment
from polyrank.experiments.matrix import DIMENSIONS
from polyrank.experiments.reader import read_specification
from polyrank.experiments.specification import Collection, System, Task

ENGLISH, TURKISH = ["water", "river", "iron"], ["su", "nehir", "demir"]
FILE = """\
title: A test
seed: 7
measures: [RR]
search_depth: 3
collections: {{toy: {{source: "{folder}/{{queries}}", pairs: [[tr, en]]}}}}
systems:
  "BM25, {{translate}}":
    search: bm25
    analysis: words
    translate: [none, query, document, gold]
    translator: "memory:{memory}"
"""


@pytest.fixture
def toy(tmp_path):
    """Three Turkish questions over three English documents, and a memory that is mostly wrong."""
    for tag, words in (("tr", TURKISH), ("en", ENGLISH)):
        folder = tmp_path / tag
        (folder / "qrels").mkdir(parents=True)
        rows = [{"_id": f"q{i}", "text": word} for i, word in enumerate(words)]
        (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
        rows = [{"_id": f"d{i}", "text": word} for i, word in enumerate(ENGLISH)]
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
        qrels = "".join(f"q{i}\td{i}\t1\n" for i in range(3))
        (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels)
    known = [("tr", "en", "su", "water"), ("tr", "en", "nehir", "iron"), ("tr", "en", "demir", "x")]
    known += [
        ("en", "tr", "water", "nehir"),
        ("en", "tr", "river", "su"),
        ("en", "tr", "iron", "y"),
    ]
    names = ("source", "target", "text", "translation")
    memory = tmp_path / "memory.jsonl"
    memory.write_text(
        "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in known)
    )
    path = tmp_path / "experiment.yaml"
    path.write_text(FILE.format(folder=tmp_path, memory=memory))
    return path


def test_each_preset_reads_its_texts(toy, tmp_path):
    results = run_experiment(toy, tmp_path / "w", tmp_path / "o", tell=lambda _: None)
    mean = {name: row["toy"]["RR"] for name, row in results["means"].items()}
    # what shares no word is filled up with equal scores, and trec_eval puts the last id first: d2
    # has an RR of 1 there, d1 1/2, d0 1/3
    none = (1 / 3 + 1 / 2 + 1) / 3
    query = (1 + 1 / 2 + 1) / 3  # su → water finds d0; nehir → iron finds d2 before d1
    document = (1 / 3 + 1 / 3 + 1) / 3  # su finds d1, then d2, d0; nehir d0, d2, d1; demir nothing
    expected = {"none": none, "query": query, "document": document, "gold": 1.0}
    for preset, value in expected.items():
        assert mean[f"BM25, {preset}"] == pytest.approx(value, abs=1e-4), preset
    (kept,) = (tmp_path / "w/translations").iterdir()
    assert len(kept.read_text().splitlines()) == 6


def test_modules_are_those_of_the_languages_that_are_read():
    task = Task(Collection("toy", "toy", (("tr", "en"),)), "tr", "en")
    spoken = {
        name: System("x", translate=name).spoken(task)
        for name in ("none", "query", "document", "gold")
    }
    assert spoken == {
        "none": ("tr", "en"), "query": ("en", "en"), "document": ("tr", "tr"), "gold": ("en", "en"),
    }  # fmt: skip
    assert "translate" in DIMENSIONS


def test_a_preset_without_a_translator_is_refused(toy):
    toy.write_text(toy.read_text().replace("    translator:", "    # translator:"))
    with pytest.raises(DataError, match="'query' needs a 'translator'"):
        read_specification(toy)
