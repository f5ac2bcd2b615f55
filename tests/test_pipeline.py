"""Fused, fanned out and reranked, with hand-made stages and with real ones."""

import pandas as pd
import pytest

from polyrank.base import load_base
from polyrank.collections.records import Document, Query, ScoredDocument
from polyrank.collections.texts import to_frame
from polyrank.errors import UsageError
from polyrank.index.dense import Dense
from polyrank.index.lexical import BM25
from polyrank.pipeline import FanOut, Fusion, Pipeline

DOCUMENTS = [
    Document("d1", "water boils", language="en"),
    Document("d2", "salt water", language="en"),
    Document("d3", "iron and salt", language="en"),
    Document("d4", "cold night", language="en"),
]


class Table:
    """Finds what a table says for a query's text, and remembers what it was asked."""

    def __init__(self, **found):
        self.found, self.asked = found, []

    def search(self, queries, depth=100):
        self.asked += [(query.text, query.language, depth) for query in queries]
        return {
            query.id: [
                ScoredDocument(query.id, i, score)
                for i, score in list(self.found.get(query.text, {}).items())[:depth]
            ]
            for query in queries
        }


class Shortest:
    """The shorter a document, the better; it remembers the queries it read."""

    def __init__(self):
        self.read = []

    def score(self, pairs):
        self.read += [query.text for query, _ in pairs]
        return [-float(len(document.text)) for _, document in pairs]


def ids(run):
    return {query_id: [hit.document_id for hit in hits] for query_id, hits in run.items()}


# ------------------------------------------------------------------------------------------ fusion


def test_fusion_of_retrievers_and_runs():
    first = Table(su={"d1": 9.0, "d2": 8.0, "d3": 7.0})
    run = {"query": [ScoredDocument("query", "d3", 0.3), ScoredDocument("query", "d4", 0.2)]}
    found = Fusion([first, run]).search("su", depth=3)
    assert ids(found) == {"query": ["d3", "d1", "d2"]}  # d2 and d4 tie at 1/62: by id
    assert found["query"][0].score == pytest.approx(1 / 63 + 1 / 61)
    assert Fusion([first, run], each=1).search("su")["query"] == [
        ScoredDocument("query", "d1", 1 / 61),
        ScoredDocument("query", "d3", 1 / 61),
    ]


def test_what_bm25_fills_up_with_is_not_fused():
    bm25 = BM25(DOCUMENTS)
    assert len(bm25.search([Query("q", "boils")])["q"]) == 4
    assert ids(Fusion([bm25]).search([Query("q", "boils"), Query("r", "tuz")])) == {
        "q": ["d1"],
        "r": [],
    }


# ----------------------------------------------------------------------------------------- fan-out


def test_fan_out_by_hand():
    table = Table(su={"d1": 5.0}, water={"d2": 9.0, "d1": 8.0}, wasser={"d3": 7.0})
    variants = {"q": [Query("en", "water", "en"), "wasser", "wasser"]}
    highest = FanOut(table, variants, merge="max").search([Query("q", "su", "tr")])
    assert [(hit.document_id, hit.score) for hit in highest["q"]] == [
        ("d2", 9.0),
        ("d1", 8.0),
        ("d3", 7.0),
    ]
    assert table.asked == [("su", "tr", 100), ("water", "en", 100), ("wasser", None, 100)]
    ranks = FanOut(table, variants).search([Query("q", "su")], depth=2)
    assert [(hit.document_id, hit.score) for hit in ranks["q"]] == [
        ("d1", pytest.approx(1 / 61 + 1 / 62)),
        ("d2", pytest.approx(1 / 61)),
    ]


def test_variants_by_a_function_and_without_the_original():
    table = Table(a={"d1": 1.0}, b={"d2": 1.0}, ab={"d4": 1.0})
    parts = FanOut(table, lambda query: list(query.text), original=False, each=7)
    found = parts.search([Query("1", "ab"), Query("2", "b"), Query("3", "z")])
    assert ids(found) == {"1": ["d1", "d2"], "2": ["d2"], "3": []}
    assert {depth for _, _, depth in table.asked} == {7}


def test_a_query_without_variants_is_searched_for_itself_or_refused():
    table = Table(su={"d1": 1.0})
    assert ids(FanOut(table, {}).search("su")) == {"query": ["d1"]}
    with pytest.raises(UsageError, match="'query' has no variants"):
        FanOut(table, {}, original=False).search("su")
    with pytest.raises(UsageError, match="one text; give a list"):
        FanOut(table, {"query": "water"}).search("su")


# ---------------------------------------------------------------------------------------- pipeline


def test_the_reranker_reads_the_original_query_and_the_union():
    table = Table(su={"d1": 5.0}, water={"d2": 9.0}, salt={"d3": 3.0})
    scorer = Shortest()
    pipeline = Pipeline(FanOut(table, {"query": ["water", "salt"]}), scorer, DOCUMENTS)
    assert ids(pipeline.search("su")) == {"query": ["d2", "d1", "d3"]}  # 10, 11, 13 letters
    assert set(scorer.read) == {"su"}


def test_depths():
    table = Table(su={"d3": 3.0, "d1": 2.0, "d2": 1.0})
    pipeline = Pipeline(table, Shortest(), DOCUMENTS, depth=2)
    assert ids(pipeline.search("su")) == {"query": ["d1", "d3"]}  # d2 was no candidate
    assert ids(pipeline.search("su", depth=1)) == {"query": ["d1"]}
    assert ids(Pipeline(pipeline, Shortest(), DOCUMENTS, depth=1).search("su")) == {"query": ["d1"]}


@pytest.mark.parametrize(
    "queries",
    [
        [Query("q", "su", "tr"), Query("r", "none")],
        pd.DataFrame({"qid": ["q", "r"], "query": ["su", "none"]}),
        {"q": Query("q", "su"), "r": Query("r", "none")},
    ],
)
def test_what_queries_may_be(queries):
    run = Pipeline(Table(su={"d1": 1.0}), Shortest(), DOCUMENTS).search(queries)
    assert ids(run) == {"q": ["d1"], "r": []}  # nothing found is not dropped
    assert len(to_frame(run)) == 1


def test_what_documents_may_be():
    frame = pd.DataFrame({"docno": ["d1"], "text": ["water"]})
    table = Table(su={"d1": 1.0}, tuz={"0": 1.0})
    assert ids(Pipeline(table, Shortest(), frame).search("su")) == {"query": ["d1"]}
    assert ids(Pipeline(table, Shortest(), ["salt"]).search("tuz")) == {"query": ["0"]}


def test_a_document_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="'d9', which is not among"):
        Pipeline(Table(su={"d9": 1.0}), Shortest(), DOCUMENTS).search("su")
    with pytest.raises(UsageError, match="depth is 0"):
        Pipeline(Table(), Shortest(), DOCUMENTS, depth=0)


def test_it_prints_itself():
    fan = FanOut(BM25(DOCUMENTS), {})
    run = {"q": [ScoredDocument("q", "d1", 1.0)]}
    pipeline = Pipeline(Fusion([fan, run], "z-score", [1, 0.5]), Shortest(), DOCUMENTS)
    assert repr(pipeline).splitlines() == [
        "Pipeline over 4 documents, 100 candidates",
        "  Fusion by z-score, weights 1, 0.5",
        "    FanOut over the query and its variants, merged by rrf",
        "      BM25(4 documents: en stems (english) 4)",
        "    run of 1 queries",
        "  Shortest()",
    ]


def test_the_real_parts_together(tiny_zoo, tiny_base):
    from polyrank import Reranker

    base = load_base(tiny_base.folder)
    reranker = Reranker(base, zoo=tiny_zoo, device="cpu")
    pipeline = Pipeline(
        Fusion([BM25(DOCUMENTS), Dense(DOCUMENTS, tiny_base, device="cpu")]), reranker, DOCUMENTS
    )
    run = pipeline.search([Query("q", "salt water", "tr")])
    by_hand = reranker.rank(Query("q", "salt water", "tr"), DOCUMENTS)
    assert run["q"] == by_hand  # all four are candidates
    assert "ranking squad, kind adapter, routing split" in repr(pipeline)


def test_languages_are_refused_before_the_search(tiny_zoo, tiny_base):
    from polyrank import Reranker
    from polyrank.errors import LanguageError

    class Never:
        def search(self, queries, depth=100):
            pytest.fail("searched")

    reranker = Reranker(load_base(tiny_base.folder), zoo=tiny_zoo, device="cpu")
    with pytest.raises(LanguageError, match="no language adapter for 'az'"):
        Pipeline(Never(), reranker, DOCUMENTS).search("su", query_language="az")
