"""/explain, and which modules acted: what `pr.explain` and `compose` say."""

import json

import pytest

from polyrank.evaluation.explain import explain
from polyrank.late_interaction.model import LateInteraction
from polyrank.rerankers.modular import ModularReranker

from ..late_interaction.conftest import late_zoo

__all__ = ["late_zoo"]

BODY = {"query": "abc", "query_language": "en", "document_language": "tr"}


@pytest.fixture
def running(start, tiny_base, tiny_zoo, late_zoo):
    cross = ModularReranker(tiny_base, "squad", zoo=tiny_zoo)
    late = LateInteraction(tiny_base, "li", zoo=late_zoo, document_length=20)
    return start({"late": late, "cross": cross})


@pytest.mark.parametrize("name", ["late", "cross"])
def test_explanations_are_those_in_process(running, post, name):
    texts = ["bca cab", "hij. abc!"]
    answer = post(running.url + "/explain", {**BODY, "model": name, "documents": texts}).json
    model = running.service.models[name].source
    for row, expected in zip(answer["results"], explain(model, "abc", texts, "en", "tr"),
                             strict=True):  # fmt: skip
        record = json.loads(json.dumps(expected.record()))
        assert row["score"] == pytest.approx(record["score"], abs=1e-5)
        for side, worth in (("matches", "similarity"), ("contributions", "difference")):
            for ours, theirs in zip(row[side], record[side], strict=True):
                assert ours.pop(worth) == pytest.approx(theirs.pop(worth), abs=1e-5)
                assert ours == theirs
        assert row["document_text"] == texts[row["index"]] and row["query_text"] == "abc"


def test_who_acted(running, post):
    body = {**BODY, "model": "cross", "documents": ["bca", {"text": "cab", "language": "zh"}]}
    rows = post(running.url + "/rerank", {**body, "return_modules": True}).json["results"]
    acting = {row["index"]: row["modules"] for row in rows}
    assert acting[0] | {"notes": 0, "base": 0} == {
        "base": 0, "routing": "split", "kind": "adapter", "query": ["en"], "document": ["tr"],
        "ranking": "squad", "ranking_kind": "adapter", "notes": 0,
    }  # fmt: skip
    assert acting[1]["document"] == ["zh"]
    assert any("zero-shot" in note for note in acting[1]["notes"])
    assert "modules" not in post(running.url + "/rerank", body).json["results"][0]


def test_its_languages_are_told(running, get):
    for model in get(running.url + "/info").json["models"]:
        assert model["languages"] == ["de", "en", "fi", "ky", "tr", "zh"]


def test_models_without_modules_or_scores_of_their_own(server, post):
    body = {"query": "abc", "documents": ["abc", "d"]}
    rows = post(server.url + "/rerank", {**body, "return_modules": True}).json["results"]
    assert [row["modules"] for row in rows] == [None, None]
    refused = post(server.url + "/explain", {**body, "model": "list"})
    assert refused.status == 422 and "ranks a list as a whole" in refused.json["message"]
    assert post(server.url + "/explain", {"query": "", "documents": ["a"]}).status == 422
