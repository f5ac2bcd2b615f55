"""How a language module is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.training.kinds import check_options, part_of
from polyrank.training.kinds.contract import LANGUAGE, Shape
from polyrank.training.loop.sparsity import PUBLISHED

if TYPE_CHECKING:
    from polyrank.training.language.language_objective import Objective


@dataclass(frozen=True)
class LanguageRecipe:
    """The options of `train_language_module`, which explains them, checked.

    Raises:
        UsageError: a kind that cannot be a language module, or options that do not fit it or each
            other.
    """

    base: str
    language: str
    text: str | Path | None
    parallel: str | Path | None = None
    kind: str = "adapter"
    loss: str | None = None
    steps: int = 300
    batch_size: int = 32
    length: int = 96
    rate: float | None = None
    shape: Shape = Shape(sparsity=PUBLISHED)
    head: str | Path | None = None
    seed: int = 13

    def __post_init__(self) -> None:
        check_options(self.kind, LANGUAGE, start=self.shape.start is not None)
        if self.head is not None and not self.objective.masked:
            raise UsageError(f"the loss '{self.objective}' hides no tokens; leave out --head")

    @property
    def objective(self) -> Objective:
        """The loss as a value."""
        from polyrank.training.language.language_objective import parse_objective

        return parse_objective(self.loss, self.text is not None, self.parallel is not None)

    @property
    def peak_rate(self) -> float:
        """The rate, or the usual one of the kind."""
        return self.rate or part_of(self.kind, LANGUAGE).rate
