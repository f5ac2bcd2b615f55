"""How a plan model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from polyrank.errors import UsageError
from polyrank.summaries.articles import Article
from polyrank.summaries.units import FINENESS


@dataclass(frozen=True)
class PlanRecipe:
    """The options of `train_plan_model`, which explains them, checked.

    Raises:
        UsageError: another fineness of units, plans without units, or numbers out of range.
    """

    base: str
    articles: Sequence[Article]
    fineness: str = "clause"
    longest: int = 6
    inner: int = 128
    steps: int = 1000
    batch_size: int = 16
    rate: float = 1e-3
    seed: int = 13

    def __post_init__(self) -> None:
        if self.fineness not in FINENESS:
            raise UsageError(f"units are {' or '.join(FINENESS)}, not '{self.fineness}'")
        if min(self.longest, self.inner, self.steps, self.batch_size) < 1:
            raise UsageError("units of a plan, width, steps and batch size are 1 or more")
        if self.seed < 0 or not 0 <= self.rate < inf:
            raise UsageError(
                f"seed {self.seed} and rate {self.rate}: give finite numbers, 0 or more"
            )
