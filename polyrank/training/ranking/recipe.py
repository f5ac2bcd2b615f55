"""How a ranking module is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyrank.training.examples.judged import JudgedRows
from polyrank.training.kinds import check_options, part_of
from polyrank.training.kinds.adapter import RANKING_REDUCTION
from polyrank.training.kinds.contract import Shape
from polyrank.training.ranking.architectures import Architecture, CrossEncoder

if TYPE_CHECKING:
    from polyrank.training.losses import Loss


@dataclass(frozen=True)
class RankingRecipe:
    """The options of `train_ranking_module`, which explains them, checked.

    Raises:
        UsageError: a kind that cannot be a ranking module, an unknown loss, or options that do not
            fit these.
    """

    base: str
    rows: JudgedRows
    kind: str = "adapter"
    over: str | None = None
    loss: str | None = None
    steps: int = 500
    batch_queries: int = 8
    negatives: int = 3
    length: int = 160
    rate: float | None = None
    shape: Shape = Shape(reduction=RANKING_REDUCTION)
    prefixes: bool | None = None
    seed: int = 13
    architecture: Architecture = CrossEncoder()

    def __post_init__(self) -> None:
        role = self.architecture.role
        check_options(self.kind, role, half=self.shape.half, over=bool(self.over))
        self.rows.check(self.objective)

    @property
    def objective(self) -> Loss:
        """The loss as a value."""
        from polyrank.training.losses import parse_loss

        chosen = self.architecture
        return parse_loss(self.loss or chosen.loss, in_batch=chosen.in_batch)

    @property
    def peak_rate(self) -> float:
        """The rate, or the usual one of the kind."""
        return self.rate or part_of(self.kind, self.architecture.role).rate
