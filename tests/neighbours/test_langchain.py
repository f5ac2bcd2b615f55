"""With LangChain's own documents."""

import pytest

pytest.importorskip("langchain_core", reason="needs polyrank[langchain]")

from langchain_core.documents import Document

from polyrank.neighbours.langchain import PolyrankRerank


def test_documents_by_hand(shortest):
    given = [
        Document("four", metadata={"language": "swa", "source": "a"}),
        Document("a", metadata={}),
        Document("three", metadata={"language": None}),
    ]
    compressor = PolyrankRerank(model=shortest, top_n=2, document_language="en")
    found = compressor.compress_documents(given, "su")
    assert [one.page_content for one in found] == ["a", "four"]
    assert found[1].metadata == {"language": "swa", "source": "a", "relevance_score": -4.0}
    assert given[0].metadata == {"language": "swa", "source": "a"}  # as it was
    assert {d.language for _, d in shortest.pairs} == {"sw", "en"}
    assert compressor.compress_documents([], "su") == []


def test_a_document_twice_and_equal_scores(shortest):
    given = [Document("bb", id="x"), Document("aa", id="x"), Document("cc", id="x")] * 5
    found = PolyrankRerank(model=shortest, top_n=None).compress_documents(given, "su")
    assert [one.page_content for one in found] == [one.page_content for one in given]


def test_a_model_by_name(default_zoo):
    found = PolyrankRerank(top_n=1).compress_documents([Document("su"), Document("iz")], "su")
    assert len(found) == 1 and found[0].metadata["relevance_score"] > 0
