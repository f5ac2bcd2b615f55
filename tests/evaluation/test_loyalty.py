"""Loyalty by hand and against SciPy's definitions; what different candidates do."""

import json
import math

import numpy as np
import pytest

from polyrank.collections.records import Document, Query, ScoredDocument, as_run
from polyrank.errors import UsageError
from polyrank.evaluation.loyalty import loyalty, probability_loyalty


def run(**queries):
    """run(q={"a": 2.0}): document → score."""
    return as_run(ScoredDocument(q, d, s) for q, hits in queries.items() for d, s in hits.items())


def test_by_hand():
    teacher = run(q={"a": 3.0, "b": 2.0, "c": 1.0}, r={"a": 1.0, "b": 0.0})
    student = run(q={"a": 3.0, "b": 1.0, "c": 2.0}, r={"a": 0.0, "b": 1.0})
    found = loyalty(student, teacher)
    assert found["label"] == 0.5
    assert found["tau"] == pytest.approx((1 / 3 - 1) / 2)  # 2 of 3 pairs agree; 0 of 1
    assert found["regression"] == pytest.approx((0.5 - 1) / 2)  # covariance 1 of variances 2
    assert found.groups[0].queries == 2


def test_probability_loyalty_takes_one_root_in_base_two():
    p, q = np.array([3 / 4, 1 / 4]), np.array([1 / 4, 3 / 4])
    # the middle is (1/2, 1/2): JSD = 1 − H(1/4), in bits
    divergence = 1 + (3 / 4) * math.log2(3 / 4) + (1 / 4) * math.log2(1 / 4)
    assert probability_loyalty(np.log(p), np.log(q)) == pytest.approx(1 - divergence**0.5)
    assert probability_loyalty([1.0, 5.0], [3.0, 7.0]) == pytest.approx(1.0, abs=1e-7)
    assert probability_loyalty([900.0, 0.0], [0.0, 900.0]) == pytest.approx(0.0)


def test_ties_and_single_candidates():
    teacher = run(q={"a": 1.0, "b": 1.0}, r={"a": 2.0}, s={"a": 2.0, "b": 1.0})
    student = run(q={"a": 1.0, "b": 0.0}, r={"a": 1.0}, s={"a": 2.0, "b": 1.0})
    found = loyalty(student, teacher)
    assert found.groups[0].queries == 2 and found.single == 1 and found.groups[0].undefined == 1
    assert found["label"] == 1.0 and found["tau"] == 1.0  # of s alone
    assert "1 queries have one candidate" in str(found) and "1 queries of equal" in str(found)


def test_by_language():
    teacher = run(q={"a": 2.0, "b": 1.0, "c": 0.0}, r={"a": 2.0, "b": 1.0})
    student = run(q={"a": 1.0, "b": 2.0, "c": 0.0}, r={"a": 2.0, "b": 1.0})
    queries = {"q": Query("q", "x", "tr"), "r": Query("r", "x", "en")}
    documents = {i: Document(i, "x", language="sw" if i == "a" else "ky") for i in "abc"}
    groups = {g.name: g for g in loyalty(student, teacher, queries, documents).groups}
    assert set(groups) == {"all", "query tr", "query en", "document ky"}  # sw: one candidate each
    assert (groups["query tr"].label, groups["query en"].label) == (0.0, 1.0)
    assert (groups["document ky"].queries, groups["document ky"].tau) == (1, 1.0)  # b over c


def test_different_candidates_are_refused_or_counted():
    teacher = run(q={"a": 2.0, "b": 1.0, "c": 0.0}, s={"a": 1.0, "b": 0.0})
    student = run(q={"a": 2.0, "b": 1.0, "d": 0.0}, r={"a": 1.0})
    with pytest.raises(UsageError, match=r"2 queries and 2 candidates, first at query 'r'"):
        loyalty(student, teacher)
    found = loyalty(student, teacher, missing="skip")
    assert (found.missing_queries, found.missing_candidates) == (2, 2)
    assert found.groups[0].queries == 1
    with pytest.raises(UsageError, match="nothing to compare"):
        loyalty(run(r={"a": 1.0}), run(r={"a": 1.0}))
    twice = {"q": [ScoredDocument("q", "a", 1.0)] * 2}
    with pytest.raises(UsageError, match="student's run has a document twice"):
        loyalty(twice, teacher)


def test_the_command_line(polyrank, tmp_path):
    (tmp_path / "a.trec").write_text("q Q0 a 1 2 x\nq Q0 b 2 1 x\n")
    (tmp_path / "b.trec").write_text("q Q0 b 1 2 x\nq Q0 a 2 1 x\n")
    names = [tmp_path / name for name in ("a.trec", "b.trec")]
    report = json.loads(polyrank("loyalty", *names, "--json").stdout)
    assert report["groups"][0]["label"] == 0.0 and report["groups"][0]["tau"] == -1.0
    assert "all\t1\t0.0000" in polyrank("loyalty", *names).stdout
    (tmp_path / "b.trec").write_text("q Q0 b 1 2 x\n")
    refused = polyrank("loyalty", *names)
    assert refused.exit_code == 2 and "--missing skip" in refused.stderr
