"""Beams and samples over plans, against all plans that there are; centrality by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from polyrank.summaries.central import DAMPING, TEMPERATURE, by_centrality, centrality
from polyrank.summaries.search import beam, sample

RANKS = np.array([0.1, 0.4, 0.2, 0.3])


def all_plans(steps, units, longest):
    """Every plan with the mean of its steps, by hand: best first."""
    found = []
    for length in range(1, longest + 1):
        for plan in combinations(range(units), length):
            taken = [steps([plan[:i]])[0][unit] for i, unit in enumerate(plan)]
            if length < longest and np.isfinite(taken).all():
                taken.append(steps([plan])[0][units])
            found.append((np.mean(taken), plan))
    return sorted((one for one in found if np.isfinite(one[0])), key=lambda one: (-one[0], one[1]))


def made_up(plans):
    """Log-probabilities of four units and the end, that depend on how far a plan is."""
    rows = np.full((len(plans), 5), -np.inf)
    for row, plan in zip(rows, plans, strict=True):
        last = plan[-1] if plan else -1
        weights = np.array([(unit * 7 + 3 * len(plan)) % 5 + 1.0 for unit in range(5)])
        weights[: last + 1] = 0
        weights[4] *= bool(plan)
        with np.errstate(divide="ignore"):
            row[:] = np.log(weights / weights.sum())
    return rows


@pytest.mark.parametrize(
    ("steps", "longest"),
    [*((made_up, n) for n in (1, 2, 3, 9)), (by_centrality(RANKS, 2), 2)],
)
def test_a_wide_beam_finds_the_best_of_all_plans(steps, longest):
    expected = all_plans(steps, 4, longest)
    found = beam(steps, 5, longest, width=20)
    assert [one.plan for one in found] == [plan for _, plan in expected[:5]]
    assert [one.score for one in found] == pytest.approx([score for score, _ in expected[:5]])


def test_samples_are_different_plans_and_follow_the_seed():
    first, again, other = (sample(made_up, 6, 3, seed) for seed in ((1, 2), (1, 2), (2, 2)))
    assert first == again != other
    plans = [one.plan for one in first]
    scores = {plan: score for score, plan in all_plans(made_up, 4, 3)}
    assert len(set(plans)) == len(plans) > 3
    assert [one.score for one in first] == pytest.approx([scores[plan] for plan in plans])
    assert all(one.plan for one in sample(by_centrality(RANKS, 3), 9, 3, (1,)))


def test_samples_come_as_often_as_they_are_likely():
    def steps(plans):
        return np.log(np.tile([0.25, 0.75, 1e-30], (len(plans), 1)))

    firsts = [sample(steps, 1, 1, (seed,))[0].plan for seed in range(400)]
    assert 0.68 < firsts.count((1,)) / 400 < 0.82


def test_samples_are_the_first_that_were_drawn_however_long():
    """A plan is (0,) or (0, 1), as likely; so one drawn plan of 400 is as often either."""

    def steps(plans):
        following = {(): (1, 0, 0), (0,): (0, 0.5, 0.5), (0, 1): (0, 0, 1)}
        with np.errstate(divide="ignore"):
            return np.log(np.array([following[plan] for plan in plans]))

    firsts = [sample(steps, 1, 3, (seed,))[0].plan for seed in range(400)]
    assert 0.42 < firsts.count((0, 1)) / 400 < 0.58
    both = sample(steps, 10**9, 3, (1,))  # there are no more, and no more are looked for
    assert [one.plan for one in both] == [(0, 1), (0,)]
    assert [one.score for one in both] == pytest.approx([np.log(0.5) / 3, np.log(0.5) / 2])


def test_a_sample_of_all_plans_finds_them():
    uniform = by_centrality(np.full(5, 0.2), 2)
    plans = [one.plan for one in sample(uniform, 99, 2, (4,))]
    assert sorted(plans) == list(combinations(range(5), 2))


def test_a_beam_breaks_ties_by_the_plan():
    uniform = by_centrality(np.full(6, 1 / 6), 2)
    found = [one.plan for one in beam(uniform, 4, 2, width=9)]
    assert found == list(combinations(range(6), 2))[:4]


def test_centrality_by_hand():
    """Three units: 0 and 1 alike, 2 apart. The chain's equations are solved outright."""
    vectors = np.array([[1, 0], [0.96, 0.28], [0.9, -(0.19**0.5)]], dtype=np.float32)
    weights = np.exp(vectors @ vectors.T / TEMPERATURE) * (1 - np.eye(3))
    weights /= weights.sum(axis=1, keepdims=True)
    expected = np.linalg.solve(np.eye(3) - DAMPING * weights.T, np.full(3, (1 - DAMPING) / 3))
    found = centrality(vectors)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.sum() == pytest.approx(1) and found.argmax() == 0 and found.argmin() == 2
    assert centrality(vectors[:1]).tolist() == [1]


def test_plans_by_centrality_are_full():
    plans = [one.plan for one in beam(by_centrality(RANKS, 2), 99, 2, 99)]
    assert plans[0] == (1, 3) and set(plans) == set(combinations(range(4), 2))
    assert [one.plan for one in beam(by_centrality(RANKS, 9), 99, 9, 99)] == [(0, 1, 2, 3)]
