import io
import json
from math import log2

import pytest
from rich.console import Console

from polyrank.collections import Judgement, ScoredDocument, as_run
from polyrank.errors import UsageError
from polyrank.evaluation import evaluate, parse_measure

QRELS = [
    Judgement("q1", "a", 2),
    Judgement("q1", "b", 1),
    Judgement("q1", "z", 0),
    Judgement("q2", "a", 1),
]


def run_of(**rankings):
    """q1='xab' ranks x, a, b for q1."""
    return as_run(
        ScoredDocument(q, d, float(-i)) for q, ids in rankings.items() for i, d in enumerate(ids)
    )


def test_measures_by_hand():
    report = evaluate(run_of(q1="xab", q2="a"), QRELS, ["nDCG@10", "AP", "RR", "P@2"])
    dcg = 2 / log2(3) + 1 / log2(4)  # a at rank 2, b at rank 3
    ideal = 2 / log2(2) + 1 / log2(3)
    assert report.per_query["nDCG@10"] == pytest.approx({"q1": dcg / ideal, "q2": 1.0})
    assert report.per_query["AP"] == pytest.approx({"q1": (1 / 2 + 2 / 3) / 2, "q2": 1.0})
    assert report["RR"] == pytest.approx((1 / 2 + 1) / 2)
    assert report["P@2"] == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_missing_queries_count_zero_and_unjudged_ones_do_not():
    report = evaluate(run_of(q1="ab", q9="a"), QRELS, "RR")
    assert report["RR"] == 0.5
    assert (report.queries, report.missing, report.unjudged) == (2, ["q2"], ["q9"])
    assert "1 query (q2) missing from the run, counted as 0" in str(report)


def test_a_query_with_an_empty_list_is_no_error():
    assert evaluate({"q1": [], "q2": run_of(q2="a")["q2"]}, QRELS, "RR")["RR"] == 0.5
    assert evaluate({"q1": []}, QRELS, "RR")["RR"] == 0.0


def test_baseline():
    ours, theirs = run_of(q1="ab", q2="a"), run_of(q1="xxyab"[2:], q2="xa")
    report = evaluate(ours, QRELS, ["RR", "AP"], baseline=theirs)
    c = report.comparison["RR"]
    assert (c.baseline, c.difference) == (0.5, 0.5)
    assert (c.better, c.worse) == (2, 0)
    assert c.low <= c.difference <= c.high
    assert 0.4 < c.p_value < 0.6  # of the four sign patterns two are as extreme
    assert c.p_holm >= c.p_value
    assert evaluate(ours, QRELS, ["RR", "AP"], baseline=theirs) == report


@pytest.mark.parametrize(
    "name", ["foo", "ndcg@ten", "", "nDCG@0", "nDCG@-1", "AP(", "nDCG@10(x=1)"]
)
def test_unknown_measures(name):
    with pytest.raises(UsageError, match="nDCG@10, AP|1 or more"):
        evaluate(run_of(q1="a"), QRELS, name)


def test_one_name_is_enough():
    assert str(parse_measure(" nDCG@10 ")) == "nDCG@10"
    assert evaluate(run_of(q1="a"), QRELS, "nDCG@10").mean.keys() == {"nDCG@10"}


@pytest.mark.parametrize(
    "run, qrels, baseline, reason",
    [
        (run_of(q8="a"), QRELS, None, "the run has none of the 2 judged queries"),
        (run_of(q1="a"), QRELS, run_of(q8="a"), "the baseline has none"),
        (run_of(q1="a"), [], None, "no judgements"),
        ([ScoredDocument("q1", "a", 1.0)] * 2, QRELS, None, "more than once"),
    ],
)
def test_refusals(run, qrels, baseline, reason):
    with pytest.raises(UsageError, match=reason):
        evaluate(run, qrels, "RR", baseline=baseline)


def test_reports_in_every_form():
    report = evaluate(
        run_of(q1="ab", q2="a"), QRELS, ["RR", "AP"], baseline=run_of(q1="xa", q2="b")
    )
    assert report.markdown().startswith("| measure | value | baseline | difference |")
    assert {len(row) for row in report.rows()} == {8}
    data = json.loads(report.json())
    assert data["mean"] == report.mean and data["comparison"]["RR"]["better"] == 2
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report.table())
    shown = console.export_text()
    assert "[+" in shown and "+0.7500" in shown


def test_an_arm_that_did_not_run_is_not_compared():
    ours, theirs = run_of(q1="ab", q2="a"), run_of(q1="xa")
    with pytest.raises(UsageError, match=r"the baseline lacks 1 of 2 judged queries \(q2\)"):
        evaluate(ours, QRELS, "RR", baseline=theirs)
    zero = evaluate(ours, QRELS, "RR", baseline=theirs, missing="zero")
    assert (zero.comparison["RR"].baseline, zero.queries) == (0.25, 2)
    both = evaluate(ours, QRELS, "RR", baseline=theirs, missing="intersect")
    assert (both["RR"], both.comparison["RR"].baseline, both.queries) == (1.0, 0.5, 1)
    alone = evaluate(theirs, QRELS, "RR", missing="intersect")
    assert (alone["RR"], alone.queries, alone.left_out) == (0.5, 1, 1)
    assert evaluate(theirs, QRELS, "RR")["RR"] == 0.25


def test_ids_of_another_collection_are_pointed_out():
    assert "no ranked document is judged" in str(evaluate(run_of(q1="uvw"), QRELS, "RR"))
    assert "no ranked document" not in str(evaluate(run_of(q1="xa"), QRELS, "RR"))
