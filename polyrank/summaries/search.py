"""Several plans of one article: a beam, or samples, over the next unit to choose.

A plan names units in the order of the article, so each set of units is one plan. A planner says for
plans that are begun how likely each next unit is, and the end; see `Steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        rows = steps([plan for _, plan in live])  # (B, U + 1)
        grown = []
        for (total, plan), row in zip(live, rows, strict=True):
            *units, end = row.tolist()
            if plan and np.isfinite(end):
                ended.append(Planned(plan, (total + end) / length))
            grown += [(total + p, (*plan, u)) for u, p in enumerate(units) if np.isfinite(p)]
        live = sorted(grown, key=lambda one: (-one[0], one[1]))[: width or count]
        if not live:
            break
    ended += [Planned(plan, total / longest) for total, plan in live]
    return sorted(ended, key=lambda one: (-one.score, one.plan))[:count]


TRIES = 4  # plans that are drawn for each that is asked for, since some come twice


def sample(
    steps: Steps, count: int, longest: int, seed: Sequence[int], temperature: float = 1.0
) -> list[Planned]:
    """Different plans that were drawn step by step, best first; ties by the plan.

    Args:
        count, longest: as of `beam`; there are fewer plans where the same ones are drawn again.
        seed: numbers; the same ones draw the same plans.
        temperature: that log-probabilities are divided by before a step is drawn; scores are
            without it.
    """
    random = np.random.default_rng(list(seed))
    live: list[tuple[float, Plan]] = [(0.0, ())] * (TRIES * count)
    drawn: dict[Plan, float] = {}  # in the order in which they ended
    for length in range(1, longest + 1):
        rows = steps([plan for _, plan in live])
        grown = []
        for (total, plan), row in zip(live, rows, strict=True):
            chosen = int(_drawn(row, random, temperature))
            total += float(row[chosen])
            if chosen == len(row) - 1:
                drawn.setdefault(plan, total / length)
            else:
                grown.append((total, (*plan, chosen)))
        live = grown
        if not live:
            break
    for total, plan in live:
        drawn.setdefault(plan, total / longest)
    plans = [Planned(plan, score) for plan, score in drawn.items() if plan][:count]
    return sorted(plans, key=lambda one: (-one.score, one.plan))


def _drawn(row: NDArray[np.float32], random: np.random.Generator, temperature: float) -> int:
    """By Gumbel's trick, which needs no normalised probabilities."""
    return int(np.argmax(row / temperature + random.gumbel(size=len(row))))
