"""The contract: lists are never mixed, first-stage scores and details go through, runs of a
listwise reranker depend on the query's own list alone."""

import json
import pickle

import pytest

from polyrank.collections.records import Collection, Document, Query, ScoredDocument
from polyrank.errors import Interrupted, PolyrankError, UsageError
from polyrank.notes import Note, Notes
from polyrank.rerankers.base import (
    ListReranker,
    Pointwise,
    Request,
    as_reranker,
    best_first,
    requests_of,
    rerank_run,
)
from polyrank.rerankers.interpolated import Interpolated
from polyrank.rerankers.load import RerankerSpec
from polyrank.rerankers.mean import MeanReranker, averaged
from polyrank.rerankers.pairs import PairScorer
from polyrank.runs.rerank import rerank_stream

DOCUMENTS = {i: Document(i, text) for i, text in {"a": "x", "b": "xx", "c": "xxx"}.items()}
RUN = {
    "q": [ScoredDocument("q", "a", 3.0), ScoredDocument("q", "b", 1.0)],
    "r": [ScoredDocument("r", "c", 0.5)],
    "empty": [],
}
TEXTS = Collection("toy", DOCUMENTS, {i: Query(i, i) for i in ("q", "r", "empty")})


class Lengths:
    """Scores a document by its length."""

    notes = Notes()

    def score(self, pairs):
        return [float(len(document.text)) for _, document in pairs]


class Places(ListReranker):
    """Scores by the place in the list it gets, says so of each document, and keeps its lists."""

    def __init__(self):
        self.lists = []

    def identity(self):
        return {"places": "1"}

    def rank_request(self, request):
        ids = [document.id for document in request.documents]
        self.lists.append(ids)
        details = {i: {"place": place} for place, i in enumerate(ids)}
        notes = Notes({Note("malformed", "an answer was repaired"): 1})
        return best_first(request, range(len(ids)), details, notes)


def test_a_request_has_a_first_stage_score_for_each_document():
    with pytest.raises(UsageError, match="2 candidates but 1 first-stage scores"):
        Request(Query("q", ""), (DOCUMENTS["a"], DOCUMENTS["b"]), (1.0,))


def test_best_first_by_hand():
    request = Request(Query("q", ""), tuple(DOCUMENTS.values()))
    ranking = best_first(request, [1.0, 2.0, 1.0])
    assert [(hit.document_id, hit.score) for hit in ranking.hits] == [("b", 2), ("a", 1), ("c", 1)]
    with pytest.raises(PolyrankError, match="3 candidates but 2 scores"):
        best_first(request, [1.0, 2.0])
    with pytest.raises(PolyrankError, match="document 'b': the score is nan"):
        best_first(request, [1.0, float("nan"), 1.0])


def test_requests_carry_first_stage_scores_and_leave_empty_queries_out():
    first, second = requests_of(TEXTS, RUN)
    assert first.first_stage == (3.0, 1.0) and first.pairs[1] == (
        TEXTS.queries["q"],
        DOCUMENTS["b"],
    )
    assert second.query.id == "r"
    (cut, _) = requests_of(TEXTS, RUN, depth=1)
    assert [document.id for document in cut.documents] == ["a"]


def test_a_candidate_that_the_collection_lacks_is_named():
    with pytest.raises(UsageError, match="names 'z', which the collection 'toy' lacks"):
        list(requests_of(TEXTS, {"q": [ScoredDocument("q", "z", 1.0)]}))


def test_a_scorer_of_pairs_is_a_reranker():
    reranker = as_reranker(Lengths())
    assert isinstance(reranker, Pointwise) and reranker.pointwise
    assert as_reranker(reranker) is reranker
    reranked = rerank_run(Lengths(), TEXTS, RUN)
    run, notes = reranked.run, reranked.notes
    assert [hit.document_id for hit in run["q"]] == ["b", "a"] and not notes
    assert run["empty"] == []  # a query without candidates stays there


def test_a_listwise_reranker_sees_one_query_at_a_time_everywhere(tmp_path):
    for rank in (
        lambda reranker: rerank_run(reranker, TEXTS, RUN),
        lambda reranker: reranker.rerank(TEXTS, RUN),
        lambda reranker: rerank_stream(reranker, TEXTS, RUN, tmp_path / "out.trec"),
    ):
        reranker = Places()
        rank(reranker)
        assert reranker.lists == [["a", "b"], ["c"]]


def test_details_reach_json_lines_and_notes_the_summary(tmp_path):
    output = tmp_path / "out.jsonl"
    summary = rerank_stream(Places(), TEXTS, RUN, output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["document_id"], row["score"], row["place"]) for row in rows] == [
        ("b", 1.0, 1), ("a", 0.0, 0), ("c", 0.0, 0),
    ]  # fmt: skip
    assert summary.notes.of_kind("malformed").total() == 2


def test_interpolation_by_hand_and_with_details():
    reranker = Interpolated(Places(), 0.25)
    (ranking, other) = reranker.rank_all(requests_of(TEXTS, RUN))
    # first stage: a 1, b 0; reranker: a 0, b 1
    assert {hit.document_id: hit.score for hit in ranking.hits} == {"a": 0.75, "b": 0.25}
    assert ranking.details["b"] == {"place": 1} and other.query_id == "r"
    assert reranker.identity() == {"places": "1", "interpolate": "0.25 min-max"}
    with pytest.raises(UsageError, match="no first-stage scores to mix with"):
        reranker.rank_request(Request(Query("q", ""), (DOCUMENTS["a"],)))


def test_first_stage_scores_count_for_resume_where_they_are_read(tmp_path):
    class Stops(Places):
        reads_first_stage = True

        def rank_request(self, request):
            if request.query.id == "r":
                raise KeyboardInterrupt
            return super().rank_request(request)

    output = tmp_path / "out.trec"
    with pytest.raises(Interrupted):
        rerank_stream(Stops(), TEXTS, RUN, output)
    moved = {**RUN, "q": [ScoredDocument("q", "a", 2.0), ScoredDocument("q", "b", 1.0)]}
    with pytest.raises(UsageError, match="other candidates or scores"):
        rerank_stream(Stops(), TEXTS, moved, output, resume=True)


def test_the_mean_of_members_by_hand():
    class Member(Lengths):
        def __init__(self, factor):
            self.factor, self.notes = factor, Notes()

        def score(self, pairs):
            return [self.factor * value for value in super().score(pairs)]

        def identity(self):
            return {"factor": str(self.factor)}

    reranker = MeanReranker([Member(1.0), Member(-3.0)])
    request = Request(Query("q", ""), tuple(DOCUMENTS.values()))
    assert [hit.score for hit in reranker.rank_request(request).hits] == [-1.0, -2.0, -3.0]
    assert reranker.identity() == {"0 factor": "1.0", "1 factor": "-3.0", "scale": "raw"}
    assert averaged([[0.0, 1.0], [4.0, 2.0]], "min-max") == (0.5, 0.5)


def test_a_loaded_reranker_says_why_it_is_not_pickled():
    with pytest.raises(UsageError, match="pickle a RerankerSpec"):
        pickle.dumps(PairScorer())
    spec = RerankerSpec(base="e5-small", ranking="squad")
    assert pickle.loads(pickle.dumps(spec)) == spec
