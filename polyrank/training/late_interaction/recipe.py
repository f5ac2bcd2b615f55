"""How late interaction is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.kinds import kinds_for, part_of
from polyrank.training.kinds.adapter import RANKING_REDUCTION
from polyrank.training.kinds.contract import LATE_INTERACTION, MODULAR, Shape
from polyrank.training.loop.sparsity import PLAIN, Sparsity

if TYPE_CHECKING:
    from polyrank.training.kinds import Part
    from polyrank.training.losses import Loss


APART = 10  # steps between the snapshots that are averaged
NOTHING_TO_ATTEND = (
    "--attend would do nothing: no query is filled up with mask tokens; leave it out, or give "
    "--augment-to"
)


def recipes() -> Mapping[str, tuple[str, ...]]:
    """What moves, and the kinds that are trained so; the first one is the usual one."""
    found: dict[str, tuple[str, ...]] = {}
    for kind in kinds_for(LATE_INTERACTION):
        recipe = part_of(kind, LATE_INTERACTION).recipe
        found[recipe] = (*found.get(recipe, ()), kind)
    return found


@dataclass(frozen=True)
class TokenSettings:
    """The options that card and settings write as they are; see `train_late_interaction`.

    Raises:
        UsageError: an unknown recipe, a kind that it does not train, no snapshot to take or more
            than there are, or an option that would do nothing.
    """

    recipe: str = MODULAR
    kind: str | None = None
    loss: str = "contrastive"
    steps: int = 350
    batch_queries: int = 32
    negatives: int = 1
    chunk: int = 0
    dim: int = 128
    query_length: int = 64
    document_length: int = 256
    train_length: int = 128
    augment_to: int | None = None
    attend: bool = False
    skiplist: str = "unicode"
    rate: float | None = None
    reduction: int = RANKING_REDUCTION
    mine: int = JudgedRows.mine
    average: int = 1
    seed: int = 13

    def __post_init__(self) -> None:
        known = recipes()
        if self.recipe not in known:
            raise UsageError(f"unknown recipe '{self.recipe}'; use one of {', '.join(known)}")
        kinds = known[self.recipe]
        if self.kind not in (None, *kinds):
            every = "; ".join(f"'{name}' trains {' or '.join(of)}" for name, of in known.items())
            raise UsageError(
                f"the recipe '{self.recipe}' trains {' or '.join(kinds)}, not '{self.kind}'.\n"
                f"The recipes: {every}."
            )
        if self.attend and self.augment_to == 0:
            raise UsageError(NOTHING_TO_ATTEND)
        if self.average < 1:
            raise UsageError(f"{self.average} snapshots cannot be averaged; give 1 or more")
        if (self.average - 1) * APART >= self.steps:
            raise UsageError(
                f"{self.average} snapshots {APART} steps apart are not in {self.steps} steps; give "
                f"--average {1 + (self.steps - 1) // APART} or less, or more --steps"
            )


@dataclass(frozen=True)
class LateInteractionRecipe:
    """How a late-interaction module is trained: data, settings, and what lies beneath.

    Raises:
        UsageError: an unknown loss, or teachers that it has no use for.
    """

    base: str
    rows: JudgedRows
    settings: TokenSettings
    over: str | None = None
    sparsity: Sparsity = PLAIN

    def __post_init__(self) -> None:
        self.rows.check(self.objective)

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.settings.seed

    @property
    def objective(self) -> Loss:
        """The loss as a value."""
        from polyrank.training.losses import parse_loss

        return parse_loss(self.settings.loss, in_batch=True)

    @property
    def kind(self) -> str:
        """The one given, or the recipe's usual one."""
        return self.settings.kind or recipes()[self.settings.recipe][0]

    @property
    def part(self) -> Part:
        """How that kind is trained."""
        return part_of(self.kind, LATE_INTERACTION)

    @property
    def shape(self) -> Shape:
        """The options that only some kinds read."""
        return Shape(self.settings.reduction, self.sparsity)

    def filled(self, **chosen: Any) -> TokenSettings:
        """The settings with what was left open."""
        rate = self.settings.rate or self.part.rate
        return replace(self.settings, loss=self.objective.name, kind=self.kind, rate=rate, **chosen)
