"""What a ranking module can be: an architecture a row, as its training sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from polyrank.errors import UsageError
from polyrank.training.kinds.contract import (
    MULTI_VIEW,
    RANKING,
    SINGLE_TEXTS,
    Fitted,
    Ground,
    Part,
)

if TYPE_CHECKING:
    from polyrank.modules.card import ModuleCard
    from polyrank.training.losses import Loss
    from polyrank.training.ranking.taught import Taught

VIEWS, ORTHOGONALITY = 4, 1.0  # of MVP


class Architecture(Protocol):
    """How a model is built around what a kind builds, taught and stored.

    Attributes:
        role: which part of a kind is trained.
        loss: the usual one of the lists.
        in_batch: whether a question is scored with the passages of others, for losses over these.
        reserved: tokens of a row that are not the pair's.
    """

    @property
    def role(self) -> str: ...

    @property
    def loss(self) -> str: ...

    @property
    def in_batch(self) -> bool: ...

    @property
    def reserved(self) -> int: ...

    def about(self) -> Mapping[str, Any]:
        """What settings and card say of it; nothing of the usual one."""

    def build(self, part: Part, ground: Ground, length: int) -> Any:
        """What is trained, on `length` tokens of a pair or of a text."""

    def batches(self, model: Any, taught: Taught) -> Callable[[int], Mapping[str, Any]]:
        """Step → what is learned from then."""

    def criterion(self, loss: Loss) -> Callable[[Any, Mapping[str, Any]], Any]:
        """The loss of the model on a batch."""

    def save(self, part: Part, fitted: Fitted, ground: Ground, output: Path, card: Any) -> Any:
        """Write the folder; return the card as written."""


@dataclass(frozen=True)
class CrossEncoder:
    """A head over the first token: one logit a pair."""

    role: ClassVar[str] = RANKING
    loss: ClassVar[str] = "infonce"
    in_batch: ClassVar[bool] = False
    reserved: ClassVar[int] = 0

    def about(self) -> Mapping[str, Any]:
        return {}

    def build(self, part: Part, ground: Ground, length: int) -> Any:
        return part.build(ground)

    def batches(self, model: Any, taught: Taught) -> Callable[[int], Mapping[str, Any]]:
        return taught.pairs()

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
    in_batch: ClassVar[bool] = False
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

    def build(self, part: Part, ground: Ground, length: int) -> Any:
        from polyrank.training.ranking.multi_view_model import MultiViewModel

        return MultiViewModel(part.build(ground), self.views)

    def batches(self, model: Any, taught: Taught) -> Callable[[int], Mapping[str, Any]]:
        return taught.pairs()

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


@dataclass(frozen=True)
class SingleTexts:
    """What both architectures over single texts share: a loss over lists and over a batch."""

    architecture: ClassVar[str]
    role: ClassVar[str] = SINGLE_TEXTS
    loss: ClassVar[str] = "contrastive"
    in_batch: ClassVar[bool] = True
    reserved: ClassVar[int] = 0

    def about(self) -> Mapping[str, Any]:
        return {"architecture": self.architecture}

    def build(self, part: Part, ground: Ground, length: int) -> Any:
        from polyrank.training.ranking.text_models import MODELS

        return MODELS[self.architecture](part.build(ground), ground, length)

    def batches(self, model: Any, taught: Taught) -> Callable[[int], Mapping[str, Any]]:
        return taught.texts(model.interaction.rules)

    def criterion(self, loss: Loss) -> Callable[[Any, Mapping[str, Any]], Any]:
        from polyrank.training.late_interaction.token_loss import TokenLoss

        return TokenLoss(loss)

    def save(
        self, part: Part, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard
    ) -> ModuleCard:
        from polyrank.modules.card import write_card
        from polyrank.modules.folder import replaced

        with replaced(output) as temporary:
            part.save(fitted, ground, temporary, card)
            fitted.model.save(temporary)
            return write_card(temporary, card)


@dataclass(frozen=True)
class DotProduct(SingleTexts):
    """A bi-encoder: a vector a text, and their dot product."""

    architecture: ClassVar[str] = "dot-product"


@dataclass(frozen=True)
class Kernels(SingleTexts):
    """Kernels over cosines of token vectors, after TK; see `polyrank.modules.kernel_pooling`."""

    architecture: ClassVar[str] = "kernel-pooling"


Row = CrossEncoder | MultiView | DotProduct | Kernels
ARCHITECTURES: Mapping[str, type[Row]] = {
    "cross-encoder": CrossEncoder,
    "multi-view": MultiView,
    "dot-product": DotProduct,
    "kernel-pooling": Kernels,
}
DEFAULT_ARCHITECTURE = "cross-encoder"


def architecture_of(name: str, **options: Any) -> Row:
    """An architecture by its name.

    Args:
        options: of it; None for the usual value.

    Raises:
        UsageError: an unknown name, or options that it does not have.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"unknown architecture '{name}'; use one of {', '.join(ARCHITECTURES)}")
    given = {option: value for option, value in options.items() if value is not None}
    own = {field.name for field in fields(ARCHITECTURES[name])}
    if idle := sorted(set(given) - own):
        raise UsageError(f"--{idle[0]} would be ignored by the architecture '{name}'; leave it out")
    return ARCHITECTURES[name](**given)
