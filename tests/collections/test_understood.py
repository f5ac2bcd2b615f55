"""What people pass to functions: understood as records, or refused with what is taken."""

import math

import numpy as np
import pandas as pd
import pytest

from polyrank.collections.records import Collection, Document, Judgement, Query, ScoredDocument
from polyrank.collections.texts import as_pairs, documents_of, judgements_of, queries_of, run_of
from polyrank.errors import UsageError
from polyrank.evaluation import compare, evaluate
from polyrank.index.lexical import BM25
from polyrank.rerankers.base import Pointwise
from polyrank.runs.fusion import fuse, interpolate

FRAME = pd.DataFrame({"docno": ["a", "b"], "text": ["one", "three"]})
TWO = {"a": "one", "b": "three"}
ALIKE = [
    TWO,
    FRAME,
    {"a": Document("a", "one"), "b": Document("b", "three")},
    {"a": {"text": "one"}, "b": {"contents": "three", "extra": 1}},
    [{"id": "a", "text": "one"}, {"_id": "b", "text": "three"}],
    [Document("a", "one"), {"docno": "b", "text": "three"}],
    Collection("c", {"a": Document("a", "one"), "b": Document("b", "three")}, {}),
    ({"id": i, "text": t} for i, t in TWO.items()),
]
WRONG = [
    ("abc", "one text; give a list"),
    (Document("a", "one"), "one text; give a list"),
    (None, r"None \(NoneType\) was given"),
    (7, r"7 \(int\) was given"),
    (b"abc", "was given; give texts"),
    (["a", None], r"document 1 is None \(NoneType\)"),
    (["a", math.nan], r"document 1 is nan \(float\)"),
    (["a", np.float64("nan")], r"document 1 is .*nan.* \(float64\)"),
    (["a", 5], r"document 1 is 5 \(int\)"),
    ([["a", "b"]], r"document 0 is \['a', 'b'\] \(list\)"),
    ([b"a"], r"\(bytes\)"),
    (["a\ud800"], "half a surrogate pair at character 1"),
    ([Document("a", "x", title="\udc00")], "half a surrogate pair"),
    ([Document("a", None)], r"text of document 'a' is None"),  # type: ignore[arg-type]
    ([Document(None, "a")], r"the id None \(NoneType\) is neither"),  # type: ignore[arg-type]
    ([{"id": "a"}], "document 0 has no field 'text'; it has id"),
    ([{"text": None}], r"text of document '0' is None"),
    ([{"text": "a", "id": 1.5}], r"the id 1.5 \(float\)"),
    ([{"text": "a", "language": 3}], r"language of document 0 is 3"),
    ({"id": "a", "text": "one"}, "one record; give a list"),
    ({"docno": ["a"], "text": ["one"]}, r"document docno is \['a'\] \(list\)"),
    (pd.DataFrame({"docno": ["a"], "text": [math.nan]}), r"text of document 'a' is nan"),
    (pd.DataFrame({"docno": ["a"], "body": ["x"]}), "no column 'text'; its columns: docno, body"),
]


class Longest:
    """Scores by length."""

    def score(self, pairs):
        return [float(len(document.text)) for _, document in pairs]


@pytest.fixture
def rank():
    return Pointwise(Longest()).rank


@pytest.mark.parametrize("source", ALIKE, ids=lambda s: type(s).__name__)
def test_documents_however_they_are_given(source, rank):
    found = source if not hasattr(source, "__next__") else list(source)
    assert {i: d.text for i, d in documents_of(found).items()} == TWO
    assert [hit.document_id for hit in rank("q", found)] == ["b", "a"]
    assert [hit.document_id for hit in BM25(found, analysis="words").search("three")["query"]] == [
        "b",
        "a",
    ]


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_documents_that_are_none(source, message, rank):
    for call in (documents_of, BM25, lambda documents: rank("q", documents)):
        with pytest.raises(UsageError, match=message):
            call(source)


@pytest.mark.parametrize("query", [None, math.nan, 3, ["a"], {"a": 1}, "x\ud800", b"q"])
def test_queries_that_are_none(query, rank):
    with pytest.raises(UsageError, match="query"):
        rank(query, ["one"])
    bm25 = BM25(["one"], analysis="words")
    with pytest.raises(UsageError, match="query|queries"):
        bm25.search([query])


def test_queries_however_they_are_given():
    frame = pd.DataFrame({"qid": ["query"], "query": ["one"]})
    for source in (
        "one",
        Query("query", "one"),
        ["one"],
        [{"qid": "query", "query": "one"}],
        frame,
    ):
        assert queries_of(source) == [Query("query", "one")]
    with pytest.raises(UsageError, match="one record; give a list"):
        queries_of({"query": "one"})
    assert queries_of({7: "one"}) == [Query("7", "one")]
    assert queries_of([Query(np.int64(7), "one")]) == [Query("7", "one")]


def test_a_dense_index_takes_texts(tiny_bert):
    from polyrank.index.dense import Dense

    dense = Dense(["water", "stone"], base=str(tiny_bert), progress=False)
    assert set(dense.search("cat")) == {"query"} and len(dense.search({"q": "cat"})["q"]) == 2
    with pytest.raises(UsageError, match="document 0 is nan"):
        Dense([math.nan], base=str(tiny_bert))


def test_pairs():
    pairs = [("q", "d"), (Query("a", "q"), Document("b", "d"))]
    assert as_pairs(pairs) == [(Query("0", "q"), Document("0", "d")), pairs[1]]
    for wrong in ("ab", [("q",)], [("q", None)], ["qd"], None):
        with pytest.raises(UsageError):
            as_pairs(wrong)


RUN = {"q": [ScoredDocument("q", "b", 2.0), ScoredDocument("q", "a", 1.0)]}
RUNS = [
    RUN,
    {"q": {"a": 1, "b": np.float32(2)}},
    [ScoredDocument("q", "a", 1.0), ScoredDocument("q", "b", 2.0)],
    pd.DataFrame({"qid": ["q", "q"], "docno": ["a", "b"], "score": [1, 2]}),
]
QRELS = [
    [Judgement("q", "b", 1)],
    {"q": {"b": 1}},
    {"q": {"b": 1.0}},
    {"q": {"b": np.int64(1)}},
    [Judgement("q", "b", 1.0)],  # type: ignore[arg-type]
    Collection("c", {}, {}, [Judgement("q", "b", 1)]),
    pd.DataFrame({"qid": ["q"], "docno": ["b"], "label": [1]}),
]


@pytest.mark.parametrize("run", RUNS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("qrels", QRELS, ids=lambda s: type(s).__name__)
def test_runs_and_judgements_however_they_are_given(run, qrels):
    assert run_of(run) == RUN and judgements_of(qrels) == QRELS[0]
    assert evaluate(run, qrels, "RR").mean == {"RR": 1.0}


def test_runs_are_understood_everywhere():
    assert [hit.document_id for hit in fuse([RUNS[1], RUN])["q"]] == ["b", "a"]
    assert interpolate(RUNS[1], RUN, 0.5)["q"][0].document_id == "b"
    assert compare({"one": RUNS[1], "two": RUN}, {"q": {"b": 1}}, "RR")


@pytest.mark.parametrize(
    "run",
    ["run.trec", None, 5, {"q": 5}, {"q": "b"}, {"q": ["b"]}, {"q": {"b": "x"}}, {"q": None},
     {"q": {"b": math.nan}}, ["q"], {"q": {"b": None}}],
)  # fmt: skip
def test_runs_that_are_none(run):
    with pytest.raises(UsageError):
        evaluate(run, {"q": {"b": 1}})


@pytest.mark.parametrize(
    "qrels",
    ["qrels.txt", None, 5, {"q": 5}, {"q": ["b"]}, {"q": {"b": "x"}}, {"q": {"b": 0.5}},
     {"q": {"b": math.nan}}, {"q": {"b": math.inf}}, [("q", "b", 1)], {"q": {"b": None}}, {}],
)  # fmt: skip
def test_judgements_that_are_none(qrels):
    with pytest.raises(UsageError):
        evaluate(RUN, qrels)
