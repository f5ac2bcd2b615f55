"""With LlamaIndex' own nodes."""

import pytest

pytest.importorskip("llama_index.core", reason="needs polyrank[llama-index]")

from llama_index.core.schema import NodeWithScore, TextNode

from polyrank.errors import UsageError
from polyrank.neighbours.llama_index import PolyrankRerank


def test_nodes_by_hand(shortest):
    nodes = [
        NodeWithScore(node=TextNode(text=text, metadata=metadata), score=9.0)
        for text, metadata in [("four", {"language": "swa"}), ("a", {}), ("three", {})]
    ]
    ranker = PolyrankRerank(model=shortest, top_n=2, document_language="en", query_language="tr")
    found = ranker.postprocess_nodes(nodes, query_str="su")
    assert [(one.node.text, one.score) for one in found] == [("a", -1.0), ("four", -4.0)]
    assert {(q.language, d.language) for q, d in shortest.pairs} == {("tr", "sw"), ("tr", "en")}
    assert ranker.class_name() == "PolyrankRerank" and "model" not in ranker.to_dict()


def test_it_needs_the_query(shortest):
    with pytest.raises(UsageError, match="needs the query"):
        PolyrankRerank(model=shortest).postprocess_nodes([])
