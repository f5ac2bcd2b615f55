"""Small real models behind the server: the same scores as in process, whatever the batches."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from polyrank.collections.records import Document
from polyrank.errors import UsageError
from polyrank.late_interaction.model import LateInteraction
from polyrank.rerankers.modular import ModularReranker
from polyrank.server.models import Shelf, named_folders, named_specs

from ..late_interaction.conftest import late_zoo, texts, words

__all__ = ["late_zoo", "texts", "words"]

LANGUAGES = ("de", "en", "fi", "ky", "tr", "zh")


@pytest.fixture(scope="module")
def rerankers(tiny_base, tiny_zoo, late_zoo):
    """A cross-encoder and a late-interaction model over one base, alone in their process."""
    return {
        "cross": ModularReranker(tiny_base, "squad", zoo=tiny_zoo, max_length=64),
        "late": LateInteraction(tiny_base, "li", zoo=late_zoo, document_length=40),
    }


@pytest.fixture(scope="module")
def running(start, tiny_base, tiny_zoo, late_zoo):
    """The same served, over one base in memory."""
    shelf = Shelf()
    shelf._bases["tiny"] = tiny_base
    cross = shelf.reranker({"base": "tiny", "ranking": "squad"}, zoo=tiny_zoo, max_length=64)
    late = shelf.reranker({"base": "tiny", "ranking": "li"}, zoo=late_zoo, max_length=40)
    assert cross.base is late.base is tiny_base
    return start({"cross": cross, "late": late}, step_tokens=256)


def asked(number, words):
    """A request: texts of many lengths in several languages."""
    import random

    source = random.Random(number)
    documents = [
        {"text": words(source, source.randint(1, 12)), "language": source.choice(LANGUAGES)}
        for _ in range(source.randint(1, 9))
    ]
    return {
        "query": words(source, source.randint(1, 4)),
        "query_language": source.choice(LANGUAGES),
        "documents": documents,
        "raw_scores": True,
    }


@pytest.mark.parametrize("name", ["cross", "late"])
def test_batches_of_many_requests_change_no_score(running, rerankers, post, words, name):
    bodies = [{"model": name, **asked(number, words)} for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: post(running.url + "/rerank", body), bodies))
    for body, answer in zip(bodies, answers, strict=True):
        documents = [
            Document(str(i), one["text"], language=one["language"])
            for i, one in enumerate(body["documents"])
        ]
        alone = {
            int(hit.document_id): hit.score
            for document in documents  # each pair by itself
            for hit in rerankers[name].rank(
                body["query"], [document], query_language=body["query_language"]
            )
        }
        found = {row["index"]: row["relevance_score"] for row in answer.json["results"]}
        assert found == {place: pytest.approx(score, abs=1e-5) for place, score in alone.items()}


def test_late_interaction_answers_with_the_mean_similarity(running, rerankers, post):
    body = {"model": "late", "query": "abcd efgh", "query_language": "en",
            "documents": ["abcd efgh", "jjjj"], "document_language": "en"}  # fmt: skip
    raw = post(running.url + "/rerank", {**body, "raw_scores": True}).json["results"]
    found = post(running.url + "/rerank", body).json["results"]
    (vectors,) = rerankers["late"].encode_queries(["abcd efgh"], "en")
    assert [row["relevance_score"] for row in found] == pytest.approx(
        [max(0.0, row["relevance_score"] / len(vectors)) for row in raw]
    )


def test_a_language_without_a_module_is_the_requests_fault(running, post):
    body = {"model": "cross", "query": "abc", "documents": ["abc"], "query_language": "en"}
    answer = post(running.url + "/rerank", {**body, "document_language": "sw"})
    assert answer.status == 422 and "sw" in answer.json["message"]
    assert "/" not in answer.json["message"].replace("[path]", "")
    assert post(running.url + "/rerank", {**body, "document_language": "de"}).status == 200


@pytest.mark.parametrize("name", ["cross", "late"])
def test_long_documents_in_passages(running, rerankers, post, words, name):
    import random

    text = words(random.Random(5), 60)
    body = {"model": name, "query": "abcd", "query_language": "en", "documents": [text],
            "document_language": "en", "long_documents": "split", "raw_scores": True}  # fmt: skip
    row = post(running.url + "/rerank", body).json["results"][0]
    passage = text[row["passage"]["start"] : row["passage"]["end"]]
    options = {"query_language": "en", "document_language": "en"}
    before = rerankers[name].notes
    (alone,) = rerankers[name].rank("abcd", [passage], **options)
    assert row["relevance_score"] == pytest.approx(alone.score, abs=1e-5)
    assert not (rerankers[name].notes - before).of_kind("cut")  # a passage is read to its end


def test_search_over_an_index(start, late_zoo, tiny_base, tmp_path, post, texts):
    from polyrank.index.multivector import MultiVectorIndex

    model = LateInteraction(tiny_base, "li", zoo=late_zoo)
    index = MultiVectorIndex.build(tmp_path / "index", texts, model, progress=False)
    running = start({"late": model}, {"all": index})
    body = {"query": texts[0].text, "query_language": "en", "top_n": 5}
    found = post(running.url + "/search", body).json
    from polyrank.collections.records import Query

    run = index.search([Query("q", texts[0].text, "en")], 5)["q"]
    assert [(row["id"], row["score"]) for row in found["results"]] == [
        (hit.document_id, hit.score) for hit in run
    ]
    assert found["results"][0]["document"]["text"]
    german = post(running.url + "/search", {**body, "languages": ["de"]}).json["results"]
    assert {row["language"] for row in german} == {"de"}
    again = post(running.url + "/search", {**body, "model": "late", "depth": 10}).json
    scores = [row["relevance_score"] for row in again["results"]]
    assert len(scores) == 5 and scores == sorted(scores, reverse=True)
    assert post(running.url + "/search", {**body, "index": "other"}).status == 404


# --- names ----------------------------------------------------------------------------------------


def test_names_of_models_and_indexes():
    found = named_specs(["e5-small", "own=models/x", 'c={"base": "e5-small"}', "/deep/in/folder"])
    assert found == {
        "e5-small": "e5-small",
        "own": "models/x",
        "c": {"base": "e5-small"},
        "folder": "/deep/in/folder",  # no path is shown to clients
    }
    assert list(named_folders(["news=/a/b", "/c/d"])) == ["news", "d"]


@pytest.mark.parametrize("given", [["a=x", "a=y"], ["a="], ["a={no json"], ["=x" * 60]])
def test_wrong_models(given):
    with pytest.raises(UsageError):
        named_specs(given)


def test_specs_are_never_taken_from_a_request(running, post):
    for name in ("tiny", "e5-small", "xlm-roberta-base", json.dumps({"base": "e5-small"})):
        body = {"model": name, "query": "a", "documents": ["a"]}
        assert post(running.url + "/rerank", body).status == 404
