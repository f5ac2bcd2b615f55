"""Several plans of one article: a beam, or samples, over the next unit to choose.

A plan names units in the order of the article, so each set of units is one plan. A planner says for
plans that are begun how likely each next unit is, and the end; see `Steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyrank.notes import Notebook
from polyrank.summaries.articles import Article
from polyrank.summaries.oracle import Plan
from polyrank.summaries.units import Span

# Plans that are begun, (B,) → log-probabilities of the next unit, the last column for the end:
# (B, U + 1). What must not come, such as a unit before the last, has −inf.
Steps = Callable[[Sequence[Plan]], NDArray[np.float32]]


class Planner(Protocol):
    """What proposes plans; `notebook` counts what it cut, `longest` is units of a plan at most."""

    notebook: Notebook
    longest: int

    def steps(self, article: Article, units: tuple[Span, ...]) -> Steps:
        """Of one article."""
        ...


@dataclass(frozen=True)
class Planned:
    """A plan with the mean log-probability of its steps, its end among them."""

    plan: Plan
    score: float


def beam(steps: Steps, count: int, longest: int, width: int | None = None) -> list[Planned]:
    """The most likely plans, best first; ties by the plan.

    Args:
        count: of plans; there are fewer where the article has too few units.
        longest: units of a plan; one of so many ends there, without a step for it.
        width: plans that are carried from step to step; `count` where that is None.
    """
    live: list[tuple[float, Plan]] = [(0.0, ())]
    ended: list[Planned] = []
    for length in range(1, longest + 1):
        rows = steps([plan for _, plan in live]).astype(np.float64)  # (B, U + 1)
        totals = np.array([total for total, _ in live])[:, None] + rows
        for total, (_, plan) in zip(totals[:, -1].tolist(), live, strict=True):
            if plan and np.isfinite(total):
                ended.append(Planned(plan, total / length))
        live = _likeliest(totals[:, :-1], [plan for _, plan in live], width or count)
        if not live:
            break
    ended += [Planned(plan, total / longest) for total, plan in live]
    return sorted(ended, key=lambda one: (-one.score, one.plan))[:count]


def _likeliest(
    totals: NDArray[np.float64], plans: Sequence[Plan], width: int
) -> list[tuple[float, Plan]]:
    """The best of all plans with one unit more, (B, U); ties by the plan, −inf is none.

    Plans are made only for those at or above the last that is wanted, not for all B · U.
    """
    last = -np.inf
    if totals.size > width:
        last = np.partition(totals, totals.size - width, axis=None)[totals.size - width]
    rows, units = np.nonzero((totals >= last) & np.isfinite(totals))
    grown = [
        (total, (*plans[row], unit))
        for total, row, unit in zip(
            totals[rows, units].tolist(), rows.tolist(), units.tolist(), strict=True
        )
    ]
    return sorted(grown, key=lambda one: (-one[0], one[1]))[:width]


AT_ONCE = 64  # plans that are drawn together


def sample(
    steps: Steps, count: int, longest: int, seed: Sequence[int], temperature: float = 1.0
) -> list[Planned]:
    """The first different plans that are drawn step by step, best first; ties by the plan.

    Args:
        count, longest: as of `beam`; there are fewer plans where `AT_ONCE` more drawings give no
            new one.
        seed: numbers; the same ones draw the same plans.
        temperature: that log-probabilities are divided by before a step is drawn; scores are
            without it.
    """
    random = np.random.default_rng(list(seed))
    drawn: dict[Plan, float] = {}  # in the order of drawing
    known = -1
    while known < len(drawn) < count:
        known = len(drawn)
        for one in _drawn(steps, longest, random, temperature):
            if one.plan:
                drawn.setdefault(one.plan, one.score)
    plans = [Planned(plan, score) for plan, score in islice(drawn.items(), count)]
    return sorted(plans, key=lambda one: (-one.score, one.plan))


def _drawn(
    steps: Steps, longest: int, random: np.random.Generator, temperature: float
) -> list[Planned]:
    """`AT_ONCE` plans, each drawn by itself; all take their steps together."""
    plans: list[Plan] = [()] * AT_ONCE
    totals = np.zeros(AT_ONCE)
    lengths = np.full(AT_ONCE, longest)  # steps, the end among them
    live = np.arange(AT_ONCE)
    for length in range(1, longest + 1):
        rows = steps([plans[one] for one in live])  # (B, U + 1)
        # By Gumbel's trick, which needs no normalised probabilities.
        chosen = np.argmax(rows / temperature + random.gumbel(size=rows.shape), axis=1)
        totals[live] += rows[np.arange(len(live)), chosen]
        ends = chosen == rows.shape[1] - 1
        lengths[live[ends]] = length
        live, chosen = live[~ends], chosen[~ends]
        for one, unit in zip(live.tolist(), chosen.tolist(), strict=True):
            plans[one] = (*plans[one], unit)
        if not len(live):
            break
    scores = (totals / lengths).tolist()
    return [Planned(plan, score) for plan, score in zip(plans, scores, strict=True)]
