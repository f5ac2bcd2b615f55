"""In a pipeline of Haystack."""

import pytest

pytest.importorskip("haystack", reason="needs polyrank[haystack]")

from haystack import Document, Pipeline

from polyrank.errors import UsageError
from polyrank.neighbours.haystack import PolyrankRanker


def test_a_pipeline_by_hand(shortest):
    pipeline = Pipeline()
    pipeline.add_component("ranker", PolyrankRanker(shortest, top_k=2, document_language="en"))
    given = [
        Document(content="four", meta={"language": "swa"}),
        Document(content="a"),
        Document(content="three"),
    ]
    found = pipeline.run({"ranker": {"query": "su", "documents": given}})["ranker"]["documents"]
    assert [(one.content, one.score) for one in found] == [("a", -1.0), ("four", -4.0)]
    assert found[1].id == given[0].id and given[0].score is None
    assert {d.language for _, d in shortest.pairs} == {"sw", "en"}


def test_it_is_saved_by_its_models_name(shortest):
    pipeline = Pipeline()
    pipeline.add_component("ranker", PolyrankRanker("e5-small", top_k=3, query_language="sw"))
    saved = pipeline.dumps()
    again = Pipeline.loads(saved, allowed_modules=["polyrank.*"]).get_component("ranker")
    assert (again.model, again.top_k, again.query_language) == ("e5-small", 3, "sw")
    with pytest.raises(UsageError, match="give that as `model`"):
        PolyrankRanker(shortest).to_dict()
    with pytest.raises(UsageError, match="top_k"):
        PolyrankRanker(top_k=0)
