"""Verbs over a base for retrieval that has no ranking module yet: late interaction without one."""

import json

import pytest

from polyrank.collections.trec import read_run


def hits_of(result):
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {r["query_id"]: [(h["document_id"], h["score"]) for h in r["hits"]] for r in rows}


def test_search_reranks_with_it(carded, source, polyrank):
    from polyrank.collections.records import Document, Query
    from polyrank.late_interaction.model import LateInteraction

    asked = ["search", *source, *carded, "--json", "--depth", "6", "--top", "6", "--limit", "2"]
    result = polyrank(*asked)
    assert result.exit_code == 0 and "late interaction over the base alone" in result.stderr
    named = polyrank(*asked, "--ranking", "none")
    assert hits_of(named) == hits_of(result) and "over the base alone" not in named.stderr
    model = LateInteraction("carded", "none", device="cpu")
    pair = Query("q0", "water boils", "tr"), Document("d0", "water boils and stone", language="en")
    assert dict(hits_of(result)["q0"])["d0"] == pytest.approx(model.score([pair])[0], rel=1e-4)


def test_rerank_goes_on_to_the_same_bytes(carded, source, polyrank, tmp_path, monkeypatch):
    from polyrank.rerankers.pairs import PairScorer

    whole, output = tmp_path / "whole.trec", tmp_path / "out.trec"
    asked = ["rerank", *source, *carded, "--first-stage", "dense", "--depth", "6", "--output"]
    assert polyrank(*asked, whole).exit_code == 0
    calls, real = [], PairScorer.rank_request

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(PairScorer, "rank_request", interrupted)
        assert polyrank(*asked, output).exit_code == 130
    refused = polyrank(*asked, output, "--resume", "--kind", "mask")
    assert refused.exit_code == 2 and "kind was 'adapter' and is now 'mask'" in refused.stderr
    resumed = polyrank(*asked, output, "--resume")
    assert resumed.exit_code == 0 and "2 queries were already there" in resumed.stderr
    assert output.read_bytes() == whole.read_bytes() and len(read_run(output)) == 6


def test_an_index_ranks_as_it_does(carded, source, polyrank, tmp_path):
    place = source[2:]  # the documents
    built = polyrank("index", "build", tmp_path / "index", *place, *carded)
    assert built.exit_code == 0 and "over the base alone" in built.stderr
    queries = ["--queries", source[1], "--json", "--top", "6", "--depth", "6"]
    found = polyrank("search", "--index", tmp_path / "index", *queries, "--no-rerank")
    expected = polyrank("search", *source, *carded, "--json", "--top", "6", "--depth", "6")
    for query, hits in hits_of(expected).items():
        there = dict(hits_of(found)[query])
        assert there == pytest.approx(dict(hits), abs=2e-2)  # vectors in fp16


def test_another_base_needs_a_module(tiny, source, polyrank):
    result = polyrank("search", *source, *tiny, "--ranking", "none", "--limit", "1")
    assert result.exit_code == 2 and "were not trained for retrieval" in result.stderr
