"""Fusion by hand, and what happens to what a run lacks."""

import itertools
import math

import pytest

from polyrank.collections.records import ScoredDocument
from polyrank.errors import UsageError
from polyrank.runs.fusion import METHODS, fuse, interpolate


def run(**scores):
    """run(a=3.0, b=1.0): of query q."""
    return {"q": [ScoredDocument("q", i, score) for i, score in scores.items()]}


def scores(fused):
    return {hit.document_id: hit.score for hit in fused["q"]}


def ids(fused):
    return [hit.document_id for hit in fused["q"]]


LEXICAL, DENSE = run(a=12.0, b=9.0, c=0.0), run(b=0.8, d=0.4)


def test_rrf_by_hand():
    fused = fuse([LEXICAL, DENSE])
    assert scores(fused) == pytest.approx(
        {"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 63, "d": 1 / 62}
    )
    assert ids(fused) == ["b", "a", "d", "c"]


def test_k_by_hand():
    assert scores(fuse([LEXICAL, DENSE], k=0)) == {"a": 1.0, "b": 1.5, "c": 1 / 3, "d": 0.5}


def test_min_max_by_hand():
    fused = fuse([LEXICAL, DENSE], "min-max")
    assert scores(fused) == pytest.approx({"a": 1.0, "b": 0.75 + 1.0, "c": 0.0, "d": 0.0})
    assert ids(fused) == ["b", "a", "c", "d"]  # c and d are equal: by id


def test_z_score_by_hand():
    deviation = math.sqrt((5**2 + 2**2 + 7**2) / 3)  # mean 7 of 12, 9, 0
    fused = scores(fuse([LEXICAL, DENSE], "z-score"))  # of 0.8, 0.4: 1 and -1
    assert fused == pytest.approx(
        {
            "a": 5 / deviation - 1,  # DENSE lacks it: as its lowest
            "b": 2 / deviation + 1,
            "c": -7 / deviation - 1,
            "d": -7 / deviation - 1,  # LEXICAL lacks it: as its lowest
        }
    )


def test_weights_by_hand():
    assert scores(fuse([LEXICAL, DENSE], "min-max", [0.2, 3])) == pytest.approx(
        {"a": 0.2, "b": 0.15 + 3.0, "c": 0.0, "d": 0.0}
    )
    assert ids(fuse([LEXICAL, DENSE], weights=[1, 0])) == ["a", "b", "c", "d"]


def test_the_highest_score_of_any_run():
    assert scores(fuse([run(a=1.0, b=-5.0), run(b=2.0, c=-9.0)], "max")) == {
        "b": 2.0,
        "a": 1.0,
        "c": -9.0,
    }


@pytest.mark.parametrize(
    ("method", "found", "missing"), [("min-max", 1.0, 0.0), ("z-score", 0.0, 0.0)]
)
@pytest.mark.parametrize("constant", [run(a=5.0), run(a=5.0, b=5.0)])
def test_one_candidate_and_constant_scores(constant, method, found, missing):
    other = run(a=1.0, b=1.0, c=1.0)
    fused = scores(fuse([constant, other], method, [1, 0]))
    assert {i: fused[i] for i in ("a", "c")} == {"a": found, "c": missing}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_without_the_query_adds_nothing(method):
    alone = fuse([LEXICAL], method)
    assert fuse([LEXICAL, {}], method) == fuse([{"q": []}, LEXICAL], method) == alone
    assert ids(alone) == ["a", "b", "c"]  # one run keeps its order
    assert fuse([{"q": []}], method) == {"q": []}


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_runs_and_hits_changes_nothing(method):
    runs = [run(a=3.0, b=2.0, c=1.0), run(c=3.0, b=2.0, a=1.0), run(b=9.1, c=9.0, a=7.7)]
    for order in itertools.permutations(runs):
        assert fuse(order, method) == fuse(runs, method)
    backwards = [{"q": r["q"][::-1]} for r in runs]
    assert fuse(backwards, method) == fuse(runs, method)


def test_what_is_equal_in_sum_is_a_tie():
    # a is at ranks 1, 2, 8 and c at 8, 1, 2; floats added up from the left come out different.
    ranks = [{"a": 1, "c": 8}, {"a": 2, "c": 1}, {"a": 8, "c": 2}]
    fill = {r: f"x{r}" for r in range(1, 9)}
    runs = [
        run(**{name: 10.0 - r for r, name in {**fill, **{v: k for k, v in rank.items()}}.items()})
        for rank in ranks
    ]
    fused = scores(fuse(runs))
    assert (1 / 61 + 1 / 62) + 1 / 68 != (1 / 68 + 1 / 61) + 1 / 62
    assert fused["a"] == fused["c"] == math.fsum([1 / 61, 1 / 62, 1 / 68])


def test_depth_and_the_order_of_queries():
    two = {"q2": [ScoredDocument("q2", "a", 1.0)], **LEXICAL}
    fused = fuse([DENSE, two], depth=1)
    assert list(fused) == ["q", "q2"] and {len(hits) for hits in fused.values()} == {1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fuse([]), "at least one run"),
        (lambda: fuse([LEXICAL], "borda"), "rrf, min-max, z-score, max"),
        (lambda: fuse([LEXICAL], weights=[1, 2]), "2 weights for 1 runs"),
        (lambda: fuse([LEXICAL], weights=[0.0]), "not all zero"),
        (lambda: fuse([LEXICAL], weights=[math.nan]), "zero or more"),
        (lambda: fuse([LEXICAL], "max", [1.0]), "leave out the weights"),
        (lambda: fuse([LEXICAL], depth=0), "depth is 0"),
        (lambda: fuse([LEXICAL], k=-1), "k is -1"),
        (lambda: fuse([{"q": LEXICAL["q"] * 2}]), "'a' twice"),
        (lambda: interpolate({}, LEXICAL, 0.5), "has not found 'a' for query 'q'"),
        (lambda: interpolate({"q": LEXICAL["q"][1:]}, LEXICAL, 0.5), "has not found 'a'"),
        (lambda: fuse([run(a=math.inf)]), "score inf"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_interpolation_leaves_out_what_the_reranker_left_out():
    first, reranked = {"q": LEXICAL["q"], "r": LEXICAL["q"]}, {"q": LEXICAL["q"][:1]}
    assert list(interpolate(first, reranked, 0.5)) == ["q"]
    assert scores(interpolate(first, reranked, 0.5)) == {LEXICAL["q"][0].document_id: 1.0}
