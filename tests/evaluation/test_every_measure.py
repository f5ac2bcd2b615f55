"""Every measure that `ir_measures` knows, with usual and odd parameters: computed, or refused."""

import time

import ir_measures
import pytest

from polyrank.errors import UsageError
from polyrank.evaluation import evaluate

RUN = {"q1": {"d1": 3, "d2": 2, "d3": 1}, "q2": {"d2": 1, "d9": 0.5}, "é": {"d1": 1}}
QRELS = {"q1": {"d1": 1, "d3": 2, "d4": 0}, "q2": {"d2": 1}, "é": {"d1": 0}}
ODD = ["", "@10", "(rel=0)", "(rel=2)", "(rel=9999999)", "(judged_only=True)@5", "(p=0.5)",
       "(p='x')", "(T=1)@3", "(gains={0:0,1:5})@3", "@0", "@1.5", "@99999999999", "(max_rel=4)@5",
       "(min_rel=0,max_rel=2)@4", "(do_not_exist=1)"]  # fmt: skip


@pytest.mark.parametrize("name", sorted(ir_measures.measures.registry))
def test_works_or_is_refused_by_name(name):
    for odd in ODD:
        try:
            evaluate(RUN, QRELS, name + odd)
        except UsageError as error:
            own = str(ir_measures.measures.registry[name])  # MRR is RR, and α_DCG alpha_DCG
            assert name in str(error) or own.split("@")[0].split("(")[0] in str(error)


def test_a_tool_that_wants_numbers_gets_them():
    """gdeval takes numeric queries alone; ERR@10 by hand for one document of grade 1 at rank 1."""
    report = evaluate({"q": {"a": 1.0}}, {"q": {"a": 1}}, "ERR@10")
    assert report.mean["ERR@10"] == pytest.approx((2**1 - 1) / 2**4, abs=1e-5)


def test_no_cost_grows_with_a_number():
    started = time.monotonic()
    with pytest.raises(UsageError, match="relevance 999999999 is above"):
        evaluate(RUN, {"q1": {"d1": 999_999_999}})
    assert time.monotonic() - started < 2


def test_a_grade_that_no_document_has():
    """trec_eval reads another query's levels for it."""
    assert evaluate(RUN, QRELS, ["Bpref(rel=2)", "AP(rel=2)"]).per_query["AP(rel=2)"] == {
        "q1": pytest.approx(1 / 3),
        "q2": 0.0,
        "é": 0.0,
    }
