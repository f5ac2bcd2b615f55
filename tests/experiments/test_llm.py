"""A language model as a system of an experiment: its lists, its cost, and what is missing."""

import pytest

from polyrank.collections.trec import read_run
from polyrank.errors import DataError
from polyrank.experiments.experiment import run_experiment
from polyrank.experiments.reader import read_specification
from polyrank.experiments.tables import cost_table
from polyrank.rerankers.llm.letters import LetterReranker

EXPERIMENT = """\
title: A test
search_depth: 6
collections: {{small: {{source: {folder}, pairs: [[tr, en]], queries: 3}}}}
systems:
  BM25: {{search: bm25, analysis: words}}
  "{{scorer}}": {{rerank: llm, model: {model}, scorer: [label, letters], over: BM25, depth: 4}}
  shallow: {{rerank: llm, model: {model}, scorer: letters, over: BM25, depth: 2}}
"""


def test_lists_costs_and_a_second_run(llama, beir, written, tmp_path, monkeypatch):
    lists, rank = [], LetterReranker.rank_all

    def watched(self, requests):
        for request in requests:
            lists.append(len(request.documents))
            yield from rank(self, [request])

    monkeypatch.setattr(LetterReranker, "rank_all", watched)
    path = written(EXPERIMENT.format(folder=beir, model=llama))
    results = run_experiment(path, work=tmp_path / "w", output=tmp_path / "o", tell=str)
    systems = results["systems"]
    assert systems["label"]["calls a query"] == 4  # one a document
    assert systems["letters"]["calls a query"] == 1 and systems["letters"]["tokens a query"] > 20
    # a query at a time, after one candidate that loads what is needed
    assert lists == [1, 4, 4, 4, 1, 2, 2, 2]
    head, body = cost_table(results)
    assert head[-2:] == ["calls a query", "tokens a query"] and body[0][-2:] == ["-", "-"]
    deep, shallow = (
        read_run(tmp_path / f"w/runs/{name}/small.tr.en.trec") for name in ("letters", "shallow")
    )
    assert {len(hits) for hits in deep.values()} == {4}
    assert {len(hits) for hits in shallow.values()} == {2}
    run_experiment(path, work=tmp_path / "w", output=tmp_path / "o", tell=str)
    assert len(lists) == 8  # everything was kept


def test_a_model_that_is_absent_is_named(beir, written, tmp_path):
    text = EXPERIMENT.format(folder=beir, model=tmp_path / "absent")
    text = text.replace("over: BM25,", "over: BM25, optional: true,")
    results = run_experiment(written(text), work=tmp_path / "w", output=tmp_path / "o", tell=str)
    (lacking,) = results["systems"]["label"]["missing"]
    assert "absent" in lacking["what"] and "make llm-model" in lacking["command"]


DATED = """\
title: A test
search_depth: 6
collections: {{small: {{source: {folder}, pairs: [[tr, en]]}}}}
groups:
  all: {{}}
  before: {{queries_until: 2025-04-30}}
  novel: {{queries_after: 2025-04-30}}
systems:
  BM25: {{search: bm25, analysis: words}}
  dense: {{search: dense, base: {base}}}
compare: [{{system: dense, against: BM25, groups: [before, novel]}}]
"""


def test_groups_by_the_date_of_questions(beir, written, tiny_folder, tmp_path):
    import json
    import shutil

    folder = shutil.copytree(beir, tmp_path / "dated")
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    for place, row in enumerate(rows):
        row["date"] = "2025-03" if place < 2 else "2025-06-10"
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    path = written(DATED.format(folder=folder, base=tiny_folder))
    results = run_experiment(path, work=tmp_path / "w", output=tmp_path / "o", tell=str)
    assert {name: group["topics"] for name, group in results["groups"].items()} == {
        "all": 6, "before": 2, "novel": 4,
    }  # fmt: skip
    means = {name: groups["nDCG@10"] for name, groups in results["means"]["BM25"].items()}
    assert abs(6 * means["all"] - 2 * means["before"] - 4 * means["novel"]) < 1e-3
    assert [(test["group"], test["topics"]) for test in results["tests"]] == [
        ("before", 2), ("novel", 4),
    ]  # fmt: skip


def test_questions_without_a_date_are_named(beir, written, tiny_folder, tmp_path):
    path = written(DATED.format(folder=beir, base=tiny_folder))
    with pytest.raises(DataError, match="6 questions of small tr→en have no date, e.g. 'q0'"):
        run_experiment(path, work=tmp_path / "w", output=tmp_path / "o", tell=str)


def test_a_date_that_is_none_is_refused(beir, written, tiny_folder):
    text = DATED.format(folder=beir, base=tiny_folder).replace("after: 2025-04-30", "after: May")
    with pytest.raises(DataError, match="'May' is not a date"):
        read_specification(written(text))
