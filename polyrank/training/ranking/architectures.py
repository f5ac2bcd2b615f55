"""What a ranking module of pairs can be: an architecture a row, as its training sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from polyrank.errors import UsageError
from polyrank.training.kinds.contract import MULTI_VIEW, RANKING, Fitted, Ground, Part

if TYPE_CHECKING:
    from polyrank.modules.card import ModuleCard
    from polyrank.training.losses import Loss

VIEWS, ORTHOGONALITY = 4, 1.0  # of MVP


class Architecture(Protocol):
    """How a model of pairs is built around what a kind builds, taught and stored.

    Attributes:
        role: which part of a kind is trained.
        loss: the usual one of the lists.
        reserved: tokens of a row that are not the pair's.
    """

    @property
    def role(self) -> str: ...

    @property
    def loss(self) -> str: ...

    @property
    def reserved(self) -> int: ...

    def about(self) -> Mapping[str, Any]:
        """What settings and card say of it; nothing of the usual one."""

    def build(self, part: Part, ground: Ground) -> Any:
        """What is trained."""

    def criterion(self, loss: Loss) -> Callable[[Any, Mapping[str, Any]], Any]:
        """The loss of the model on a batch."""

    def save(self, part: Part, fitted: Fitted, ground: Ground, output: Path, card: Any) -> Any:
        """Write the folder; return the card as written."""


@dataclass(frozen=True)
class CrossEncoder:
    """A head over the first token: one logit a pair."""

    role: ClassVar[str] = RANKING
    loss: ClassVar[str] = "infonce"
    reserved: ClassVar[int] = 0

    def about(self) -> Mapping[str, Any]:
        return {}

    def build(self, part: Part, ground: Ground) -> Any:
        return part.build(ground)

    def criterion(self, loss: Loss) -> Callable[[Any, Mapping[str, Any]], Any]:
        from polyrank.training.ranking.ranking_loss import RankingLoss

        return RankingLoss(loss)

    def save(
        self, part: Part, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard
    ) -> ModuleCard:
        written: ModuleCard = part.save(fitted, ground, output, card)
        return written


@dataclass(frozen=True)
class MultiView:
    """View tokens before each pair and a head over the list; see `polyrank.modules.multi_view`.

    Attributes:
        views: how many tokens stand first.
        orthogonality: weight of keeping the anchors of a query apart.
    """

    role: ClassVar[str] = MULTI_VIEW
    loss: ClassVar[str] = "infonce(temperature=0.8)"
    views: int = VIEWS
    orthogonality: float = ORTHOGONALITY

    def __post_init__(self) -> None:
        if self.views < 1 or self.orthogonality < 0:
            raise UsageError(
                f"{self.views} views with orthogonality {self.orthogonality:g}: give 1 or more "
                "views and a weight of 0 or more"
            )

    @property
    def reserved(self) -> int:
        return self.views

    def about(self) -> Mapping[str, Any]:
        from polyrank.modules.multi_view import ARCHITECTURE

        return {
            "architecture": ARCHITECTURE,
            "views": self.views,
            "orthogonality": self.orthogonality,
        }

    def build(self, part: Part, ground: Ground) -> Any:
        from polyrank.training.ranking.multi_view_model import MultiViewModel

        return MultiViewModel(part.build(ground), self.views)

    def criterion(self, loss: Loss) -> Callable[[Any, Mapping[str, Any]], Any]:
        from polyrank.training.ranking.multi_view_loss import MultiViewLoss

        return MultiViewLoss(loss, self.orthogonality)

    def save(
        self, part: Part, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard
    ) -> ModuleCard:
        from polyrank.modules.card import write_card
        from polyrank.modules.folder import replaced
        from polyrank.modules.multi_view import save_multi_view

        with replaced(output) as temporary:
            part.save(fitted, ground, temporary, card)
            save_multi_view(fitted.model.head, temporary)
            return write_card(temporary, card)


ARCHITECTURES: Mapping[str, type[CrossEncoder] | type[MultiView]] = {
    "cross-encoder": CrossEncoder,
    "multi-view": MultiView,
}
DEFAULT_ARCHITECTURE = "cross-encoder"


def architecture_of(name: str, **options: Any) -> CrossEncoder | MultiView:
    """An architecture by its name.

    Args:
        options: of it; None for the usual value.

    Raises:
        UsageError: an unknown name, or options that it does not have.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"unknown architecture '{name}'; use {' or '.join(ARCHITECTURES)}")
    given = {option: value for option, value in options.items() if value is not None}
    own = {field.name for field in fields(ARCHITECTURES[name])}
    if idle := sorted(set(given) - own):
        raise UsageError(f"--{idle[0]} would be ignored by the architecture '{name}'; leave it out")
    return ARCHITECTURES[name](**given)
