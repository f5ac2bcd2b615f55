"""What is not read is said, or refused: of queries, of documents, and by the model itself."""

import pytest

from polyrank.late_interaction.model import LateInteraction
from polyrank.notes import Note, Notes
from polyrank.rerankers.base import ListReranker, best_first
from polyrank.rerankers.modular import ModularReranker

from ..late_interaction.conftest import late_zoo

__all__ = ["late_zoo"]

LANGUAGES = {"query_language": "en", "document_language": "en"}


@pytest.fixture(scope="module")
def models(tiny_base, tiny_zoo, late_zoo):
    """Both families over one base, where a language without a module runs without."""
    cross = ModularReranker(tiny_base, "squad", zoo=tiny_zoo, max_length=40, fallback="none")
    late = LateInteraction(tiny_base, "li", zoo=late_zoo, document_length=20, fallback="none")
    return {"cross": cross, "late": late}


@pytest.fixture(scope="module")
def running(start, models):
    return start({**models, "grader": Grader()}, step_tokens=256)


class Grader(ListReranker):
    """Scores documents one by one, of which it reads three letters, and says so."""

    pointwise = True

    def rank_request(self, request):
        cut = sum(len(document.text) > 3 for document in request.documents)
        notes = Notes({Note("cut", "a text was cut to fit the prompt"): cut})
        return best_first(request, [0.5] * len(request.documents), notes=notes)

    def identity(self):
        return {}


def warnings(answer):
    assert answer.status == 200, answer.body
    return answer.json["meta"]["warnings"]


@pytest.mark.parametrize("name", ["cross", "late"])
def test_a_query_that_is_too_long(running, models, post, name):
    """As many of its tokens are read as is said: without the others the score is the same."""
    query = " ".join("abcdefghij" * 8)
    tokenizer = models[name].base.tokenizer
    offsets = tokenizer(query, add_special_tokens=False).encodings[0].offsets
    body = {"model": name, "query": query, "documents": ["bca"], **LANGUAGES, "raw_scores": True}
    answer = post(running.url + "/rerank", body)
    (told,) = warnings(answer)
    read = int(told.removeprefix("the query was cut to its first ").removesuffix(" tokens"))
    assert 10 < read < 40
    for count in (read, read - 2):
        cut = query[: offsets[count - 1][1]]
        (hit,) = models[name].rank(cut, ["bca"], "en", "en")
        alike = answer.json["results"][0]["relevance_score"] == pytest.approx(hit.score, abs=1e-5)
        assert alike == (count == read)
        short = post(running.url + "/rerank", {**body, "query": cut, "truncate": False})
        assert short.status == 200 and not warnings(short)
    refused = post(running.url + "/rerank", {**body, "truncate": False})
    assert refused.status == 422 and refused.json["error"]["param"] == "query"
    assert f"longer than the {read} tokens that are read of it" in refused.json["message"]


def test_a_long_query_beside_passages(running, post):
    query = " ".join("abcdefghij" * 8)
    body = {"model": "cross", "query": query, "documents": ["b c a d " * 20], **LANGUAGES}
    (told,) = warnings(post(running.url + "/rerank", {**body, "long_documents": "split"}))
    assert told.startswith("the query was cut to its first ")


@pytest.mark.parametrize("name", ["cross", "late"])
def test_what_is_assumed_of_languages_is_said(running, models, post, name):
    """What the same model notes in process, and to each request its own."""
    from concurrent.futures import ThreadPoolExecutor

    from polyrank.collections.records import Document, Query
    from polyrank.rerankers.base import Request

    def body(language):
        return {"model": name, "query": "abc", "query_language": "en",
                "documents": ["bca", "d"], "document_language": language}  # fmt: skip

    def noted(language):
        documents = tuple(Document(i, i, language=language) for i in ("bca", "d"))
        request = Request(Query("q", "abc", "en"), documents)
        return models[name].rank_request(request).notes.lines()

    languages = ["sw", "tr", "fa"] * 4
    with ThreadPoolExecutor(12) as many:
        answers = list(many.map(lambda one: post(running.url + "/rerank", body(one)), languages))
    noted("en")  # the first ranking also has the notes of how the model was made
    for language, answer in zip(languages, answers, strict=True):
        assert sorted(warnings(answer)) == sorted(noted(language))
        missing = f"there is no language adapter for '{language}'"
        assert any(missing in line for line in warnings(answer)) == (language != "tr")


def test_a_guess_stops_nothing(start, tiny_base, tiny_zoo, post):
    """Under fallback 'error' a language that was identified and lacks a module is not used."""
    strict = ModularReranker(tiny_base, "squad", zoo=tiny_zoo, max_length=40)
    running = start({"strict": strict})
    text = "kahawa ya asubuhi na maziwa"  # Swahili
    body = {"query": "abc", "query_language": "en", "documents": [text], "raw_scores": True}
    answer = post(running.url + "/rerank", body)
    told = warnings(answer)[0]
    assert told.startswith("identified as 'sw', for which there is no language module: none used")
    (row,) = answer.json["results"]
    assert row["language"] is None and row["language_identified"]
    (hit,) = strict.rank("abc", [text], "en")
    assert row["relevance_score"] == pytest.approx(hit.score, abs=1e-5)
    (row,) = post(running.url + "/explain", body).json["results"]
    assert row["score"] == pytest.approx(hit.score, abs=1e-5)
    assert post(running.url + "/rerank", {**body, "document_language": "sw"}).status == 422


def test_pairs_have_warnings_too(server, post, words):
    body = {"text_1": ["a", words(90, 2)], "text_2": [words(90, 1), "b"]}
    assert warnings(post(server.url + "/score", body)) == [
        "1 of 2 queries were not read to their ends",
        "1 of 2 documents were not read to their ends",
    ]


def test_what_a_model_cuts_itself(running, post):
    body = {"model": "grader", "query": "abc", "documents": ["abcd", "abc", "bcde", " "]}
    assert warnings(post(running.url + "/rerank", body)) == [
        "a text was cut to fit the prompt (2 times)", "candidate without text: ranked last",
    ]  # fmt: skip
    refused = post(running.url + "/rerank", {**body, "truncate": False})
    assert refused.status == 422 and "a text was cut to fit the prompt" in refused.json["message"]
    short = {**body, "documents": ["abc"], "truncate": False}
    assert post(running.url + "/rerank", short).status == 200


BLANKS = " " * 5000


@pytest.mark.parametrize("mode", ["cut", "split"])
@pytest.mark.parametrize("text", ["zzz zzz abc", f"zzz{BLANKS}zzz abc"])
def test_a_document_that_is_shortened(server, post, toy, text, mode):
    body = {"query": "abc", "documents": [text, "b"], "max_tokens_per_doc": 2, "raw_scores": True,
            "long_documents": mode}  # fmt: skip
    answer = post(server.url + "/rerank", body)
    assert warnings(answer) == ["1 of 2 documents were not read to their ends"]
    rows = {row["index"]: row for row in answer.json["results"]}
    assert rows[0]["cut"] and "cut" not in rows[1]
    assert rows[0]["relevance_score"] == pytest.approx(toy.one("abc", "zzz zzz"))
    refused = post(server.url + "/rerank", {**body, "truncate": False})
    assert refused.status == 422 and "max_tokens_per_doc=2" in refused.json["message"]
    assert post(server.url + "/rerank", {**body, "max_tokens_per_doc": 3}).json["meta"][
        "warnings"
    ] == []  # fmt: skip


@pytest.mark.parametrize("mode", ["cut", "split"])
def test_blanks_are_no_tokens(server, post, toy, mode):
    """Neither is a text cut for them, nor is what comes after them left out."""
    text, query = f"zzz {BLANKS * 20} abc", f"{BLANKS * 20} abc"
    body = {"query": query, "documents": [text], "raw_scores": True, "truncate": False,
            "long_documents": mode}  # fmt: skip
    answer = post(server.url + "/rerank", body)
    assert warnings(answer) == []
    score = answer.json["results"][0]["relevance_score"]
    assert score == pytest.approx(toy.one(query, "zzz abc"))


def test_passages_that_are_left_out_may_be_refused(server, post, words):
    body = {"query": "a", "documents": [words(90, 1)], "long_documents": "split"}
    assert post(server.url + "/rerank", {**body, "truncate": False}).status == 200
    body["max_chunks_per_doc"] = 1
    assert warnings(post(server.url + "/rerank", body))
    refused = post(server.url + "/rerank", {**body, "truncate": False})
    assert (
        refused.status == 422
        and "the passages that are read of it, 1 at most" in refused.json["message"]
    )
