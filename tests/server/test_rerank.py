"""One handler for every client: each peer's request, and the fields its client reads."""

import math

import pytest

from polyrank.rerankers.base import Pointwise
from polyrank.server.contracts import RerankAnswer

QUERY = "abc cab"
TEXTS = ["abc abc abc", "xyz", "a b", "cab", "c"]


def sigmoid(score):
    return 1 / (1 + math.exp(-score))


@pytest.fixture
def expected(toy):
    """(index, score) by `rank` in process, best first."""
    return [(int(h.document_id), sigmoid(h.score)) for h in Pointwise(toy).rank(QUERY, TEXTS)]


def rows(found):
    return [(row["index"], row["relevance_score"]) for row in found]


def close(found):
    """Rows to compare with, the scores to nine digits."""
    return [(index, pytest.approx(score, rel=1e-8)) for index, score in found]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank", "/"])
def test_every_route_answers_alike(server, post, expected, path):
    answer = post(server.url + path, {"query": QUERY, "documents": TEXTS})
    assert answer.status == 200
    assert rows(answer.json["results"]) == close(expected)


BODIES = {
    "cohere v2": {"model": "toy", "documents": TEXTS, "top_n": 3, "max_tokens_per_doc": 4096},
    "cohere v1": {
        "model": "toy",
        "documents": [{"text": text} for text in TEXTS],
        "top_n": 3,
        "return_documents": True,
        "max_chunks_per_doc": 10,
    },
    "jina": {"model": "toy", "documents": TEXTS, "top_n": 3, "return_documents": False},
    "voyage": {"model": "toy", "documents": TEXTS, "top_k": 3, "truncation": True},
    "infinity": {"model": "toy", "documents": TEXTS, "top_n": 3, "raw_scores": False},
    "vllm": {"model": "toy", "documents": TEXTS, "top_n": 3, "priority": 0, "user": "someone"},
    "dify": {"model": "toy", "documents": TEXTS, "top_n": None, "query": QUERY},
    "open webui": {"model": "toy", "documents": TEXTS, "top_n": len(TEXTS)},
}


@pytest.mark.parametrize("peer", BODIES)
def test_each_peers_body(server, post, expected, peer):
    body = BODIES[peer]
    answer = post(server.url + "/v1/rerank", {"query": QUERY, **body}).json
    RerankAnswer.model_validate(answer)
    count = body.get("top_n") or body.get("top_k") or len(TEXTS)
    assert rows(answer["results"]) == close(expected[:count])
    assert answer["data"] == answer["results"]  # Voyage
    assert answer["object"] == "rerank"  # Infinity's client checks it
    assert answer["id"] and answer["model"] == "toy" and answer["usage"]["total_tokens"] > 0
    assert answer["meta"]["billed_units"] == {"search_units": 1}  # Cohere
    texts = [row.get("document") for row in answer["results"]]
    if body.get("return_documents"):
        assert texts == [{"text": TEXTS[row["index"]]} for row in answer["results"]]
    else:
        assert texts == [None] * count


def test_tei_gets_its_bare_list(server, post, expected):
    body = {"query": QUERY, "texts": TEXTS, "return_text": True, "truncate": True}
    found = post(server.url + "/rerank", body).json
    assert [(row["index"], row["score"]) for row in found] == close(expected)
    assert [row["text"] for row in found] == [TEXTS[row["index"]] for row in found]
    assert len(post(server.url + "/rerank", {**body, "top_n": 2}).json) == 2  # LiteLLM sends it


@pytest.mark.parametrize("raw", [{"raw_scores": True}, {"use_activation": False}])
def test_raw_scores_are_those_of_the_model(server, post, toy, raw):
    body = {"query": QUERY, "documents": TEXTS, **raw}
    found = rows(post(server.url + "/rerank", body).json["results"])
    assert dict(found) == pytest.approx({i: toy.one(QUERY, t) for i, t in enumerate(TEXTS)})


def test_top_n_of_zero_is_all(server, post):
    body = {"query": QUERY, "documents": TEXTS, "top_n": 0}
    assert len(post(server.url + "/rerank", body).json["results"]) == len(TEXTS)


def test_ids_come_back_and_break_ties(server, post):
    documents = [{"id": "z", "text": "same"}, {"id": "a", "text": "same"}, {"id": 7, "text": "x"}]
    found = post(server.url + "/rerank", {"query": "sam", "documents": documents}).json["results"]
    assert [row["id"] for row in found] == ["a", "z", 7]
    assert [row["index"] for row in found] == [1, 0, 2]


def test_rank_fields_choose_what_is_read(server, post, toy):
    documents = [{"heading": "abc", "body": "cab"}, {"heading": "xyz"}]
    body = {"query": QUERY, "documents": documents, "rank_fields": ["heading", "body"]}
    found = post(server.url + "/v1/rerank", {**body, "raw_scores": True}).json["results"]
    assert rows(found)[0] == (0, pytest.approx(toy.one(QUERY, "abc cab")))


def test_a_list_is_ranked_whole_by_a_listwise_model(server, post):
    body = {"model": "list", "query": "q", "documents": ["aaa", "a", "aa"], "raw_scores": True}
    answer = post(server.url + "/rerank", body).json
    assert rows(answer["results"]) == [(0, 2.0), (2, 1.0), (1, 0.0)]
    assert answer["meta"]["warnings"] == ["an answer repeated a number"]


# --- languages ------------------------------------------------------------------------------------


def test_languages_are_those_that_were_given(server, post):
    body = {
        "query": "su",
        "query_language": "tur",
        "documents": ["water", {"text": "вода", "language": "ru"}, "maji"],
        "document_language": ["en", "en", "swh"],
    }
    answer = post(server.url + "/rerank", body).json
    assert answer["query_language"] == {"language": "tr", "identified": False}
    by_index = {row["index"]: row for row in answer["results"]}
    assert [by_index[i]["language"] for i in range(3)] == ["en", "ru", "sw"]
    assert not any("language_identified" in row for row in answer["results"])


def test_languages_are_identified_when_absent(server, post):
    body = {
        "query": "Wie hoch ist der Siedepunkt von Wasser in den Bergen?",
        "documents": ["Суунун кайноо температурасы канча экенин билесизби?", "12345"],
    }
    answer = post(server.url + "/rerank", body).json
    assert answer["query_language"]["language"] == "de"
    assert answer["query_language"]["identified"] and answer["query_language"]["confidence"] > 0.5
    by_index = {row["index"]: row for row in answer["results"]}
    assert by_index[0]["language"] == "ky" and by_index[0]["language_identified"]
    assert by_index[1]["language"] is None


@pytest.mark.parametrize("given", [["en"], "klingon", ["en", "en", "xx-nothing"]])
def test_a_wrong_language_is_a_422(server, post, given):
    body = {"query": "q", "documents": ["a", "b", "c"], "document_language": given}
    answer = post(server.url + "/rerank", body)
    assert answer.status == 422 and "document_language" in answer.json["message"]


# --- long documents -------------------------------------------------------------------------------


def test_what_is_cut_is_said(server, post, words):
    answer = post(server.url + "/rerank", {"query": "a", "documents": [words(90, 1), "b"]})
    assert answer.status == 200
    assert [row.get("cut") for row in answer.json["results"]] == [True, None]
    assert "1 of 2 documents" in answer.json["meta"]["warnings"][0]


def test_what_may_not_be_cut_is_refused(server, post, words):
    body = {"query": "a", "texts": [words(90, 1), "b"], "truncate": False}
    answer = post(server.url + "/rerank", body)
    assert answer.status == 422 and answer.json["error_type"] == "validation"


def test_the_best_passage_counts(server, post, toy, words):
    end = "zzz " * 40 + "abc abc abc"
    body = {"query": QUERY, "documents": [end, "zzz"], "long_documents": "split"}
    row = post(server.url + "/rerank", {**body, "raw_scores": True}).json["results"][0]
    passage = end[row["passage"]["start"] : row["passage"]["end"]]
    assert passage.endswith("abc abc abc")
    assert row["relevance_score"] == pytest.approx(toy.one(QUERY, passage))
    assert row["relevance_score"] > toy.one(QUERY, end)


def test_documents_may_be_shortened(server, post, toy):
    body = {"query": QUERY, "documents": ["zzz zzz abc"], "max_tokens_per_doc": 2}
    row = post(server.url + "/v2/rerank", {**body, "raw_scores": True}).json["results"][0]
    assert row["relevance_score"] == pytest.approx(toy.one(QUERY, "zzz zzz"))


# --- beside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
def test_score_pairs_one_with_many_and_many_with_many(server, post, toy, path):
    one = {"text_1": "abc", "text_2": ["a", "bc", "x"], "use_activation": False}
    found = post(server.url + path, one).json["data"]
    assert [row["score"] for row in found] == pytest.approx(
        [toy.one("abc", text) for text in ("a", "bc", "x")]
    )
    many = {"queries": ["a", "b"], "documents": ["ab", "xyz"]}
    found = post(server.url + path, many).json["data"]
    assert [row["score"] for row in found] == pytest.approx(
        [sigmoid(toy.one("a", "ab")), sigmoid(toy.one("b", "xyz"))]
    )


def test_score_refuses_lists_that_do_not_pair(server, post):
    assert post(server.url + "/score", {"text_1": ["a", "b"], "text_2": ["c"]}).status == 422
    assert post(server.url + "/score", {"text_1": "a"}).status == 422


def test_detect(server, post):
    texts = ["Суунун кайноо температурасы канча?", "Wie hoch ist der Siedepunkt?", "123"]
    found = post(server.url + "/detect", {"texts": texts}).json["data"]
    assert [row["language"] for row in found] == ["ky", "de", None]


def test_what_is_here(server, get):
    assert get(server.url + "/health").json == {"status": "ok"}
    assert get(server.url + "/ping").status == 200
    models = get(server.url + "/v1/models").json
    assert [row["id"] for row in models["data"]] == ["toy", "list"]
    info = get(server.url + "/info").json
    assert info["model_id"] == "toy" and info["models"][1]["listwise"]
    assert b"polyrank_requests_total" in get(server.url + "/metrics").body


def test_the_schemas_are_described(server, get):
    found = get(server.url + "/openapi.json").json
    assert "query_language" in found["components"]["schemas"]["RerankBody"]["properties"]
    body = found["paths"]["/v2/rerank"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/RerankBody"}
    answer = found["paths"]["/v2/rerank"]["post"]["responses"]["200"]["content"]
    assert {"$ref": "#/components/schemas/RerankAnswer"} in answer["application/json"]["schema"][
        "oneOf"
    ]


def test_search_without_an_index_says_so(server, post):
    answer = post(server.url + "/search", {"query": "q"})
    assert answer.status == 404 and "--index" in answer.json["detail"]
