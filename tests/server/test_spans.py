"""`relevant_spans`: characters of the document's own text."""

from polyrank.late_interaction.model import LateInteraction

from ..late_interaction.conftest import late_zoo

__all__ = ["late_zoo"]

QUERY = "abc"
TEXT = "Zzz zzz. Abc abc abc! Cab."


def test_sentences_of_a_scorer_of_pairs(server, post):
    body = {"query": QUERY, "documents": [TEXT, "zzz"], "relevant_spans": {"max_spans": 1}}
    row, other = post(server.url + "/v2/rerank", body).json["results"]
    (span,) = row["relevant_spans"]
    assert TEXT[span["start"] : span["end"]] == "Abc abc abc!" and 0.5 < span["score"] <= 1
    assert other["relevant_spans"] == []


def test_none_without_being_asked(server, post):
    body = {"query": QUERY, "documents": [TEXT]}
    for wanted in ({}, {"relevant_spans": None}, {"relevant_spans": False}):
        (row,) = post(server.url + "/rerank", {**body, **wanted}).json["results"]
        assert "relevant_spans" not in row


def test_a_listwise_model_has_none(server, post):
    body = {"model": "list", "query": QUERY, "documents": [TEXT], "relevant_spans": True}
    (row,) = post(server.url + "/rerank", body).json["results"]
    assert row["relevant_spans"] == []


def test_tokens_of_late_interaction(start, tiny_base, late_zoo, post):
    running = start({"late": LateInteraction(tiny_base, "li", zoo=late_zoo, document_length=20)})
    text = "hij " * 12 + "abc"
    body = {"query": QUERY, "query_language": "en", "document_language": "tr"}
    spans = {"relevant_spans": {"threshold": -1}}
    titled = [{"text": "cab fed", "title": "abc abc"}]
    (row,) = post(running.url + "/rerank", {**body, **spans, "documents": titled}).json["results"]
    assert all(0 <= one["start"] < one["end"] <= 7 for one in row["relevant_spans"])
    split = {**body, **spans, "documents": [text], "long_documents": "split"}
    (row,) = post(running.url + "/rerank", split).json["results"]
    passage = row["passage"]
    assert row["relevant_spans"]
    for one in row["relevant_spans"]:
        assert passage["start"] <= one["start"] < one["end"] <= passage["end"]


def test_of_a_titled_document_in_passages(server, post):
    """Places are those of the text in the answer, which has no title."""
    text = "zzz " * 30 + "Zzz. Abc abc abc! Zzz zzz."
    document = {"title": "Yyy yyy yyy.", "text": text}
    body = {"query": QUERY, "documents": [document], "relevant_spans": {"max_spans": 1}}
    split = {**body, "long_documents": "split", "return_documents": True}
    (row,) = post(server.url + "/rerank", split).json["results"]
    (span,), passage = row["relevant_spans"], row["passage"]
    assert row["document"]["text"][span["start"] : span["end"]] == "Abc abc abc!"
    assert text[passage["start"] : passage["end"]].endswith("Zzz. Abc abc abc! Zzz zzz.")
    assert text[passage["start"] :].startswith("zzz")
    titled = {"title": "Abc.", "text": "Zzz zzz. Cab bac! Yyy."}
    short = {**body, "documents": [titled], "max_tokens_per_doc": 5}  # 'Abc.' is one of them
    (row,) = post(server.url + "/rerank", short).json["results"]
    (span,) = row["relevant_spans"]
    assert titled["text"][span["start"] : span["end"]] == "Cab bac!"
    (row,) = post(server.url + "/rerank", {**short, "max_tokens_per_doc": 1}).json["results"]
    assert row["cut"] and row["relevant_spans"] == []
