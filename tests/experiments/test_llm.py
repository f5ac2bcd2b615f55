"""A language model as a system of an experiment: its lists, its cost, and what is missing."""

from polyrank.collections.trec import read_run
from polyrank.experiments.experiment import run_experiment
from polyrank.experiments.tables import cost_table
from polyrank.rerankers.llm.letters import LetterReranker

from ..rerankers.llm.conftest import chat_tokenizer, llama  # noqa: F401

EXPERIMENT = """\
title: A test
search_depth: 6
collections: {{small: {{source: {folder}, pairs: [[tr, en]], queries: 3}}}}
systems:
  BM25: {{search: bm25, analysis: words}}
  "{{scorer}}": {{rerank: llm, model: {model}, scorer: [label, letters], over: BM25, depth: 4}}
  shallow: {{rerank: llm, model: {model}, scorer: letters, over: BM25, depth: 2}}
"""


def test_lists_costs_and_a_second_run(llama, beir, written, tmp_path, monkeypatch):  # noqa: F811
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
