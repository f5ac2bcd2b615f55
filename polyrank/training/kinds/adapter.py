"""Adapters: bottlenecks in a frozen base, and an invertible layer for a language.

MAD-X (Pfeiffer et al. 2020, arXiv 2005.00052). A language adapter is trained in polyrank's own
engine and stored in the format of the `adapters` library, a ranking adapter by that library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.modules.kinds import KINDS
from polyrank.training.kinds.contract import (
    LANGUAGE,
    LATE_INTERACTION,
    MULTI_VIEW,
    RANKING,
    SINGLE_TEXTS,
    STUDENT,
    Fitted,
    Ground,
    Part,
    PlainPart,
    StudentGround,
    Teaching,
)

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.modules.adapter.tensors import Head
    from polyrank.modules.card import ModuleCard
    from polyrank.training.distillation.teacher import Teacher

RATES = KINDS["adapter"].rates
LANGUAGE_REDUCTION = 8  # of an e5-small: a bottleneck of 48, under a megabyte in fp16
RANKING_REDUCTION = 2


def usual_reduction(role: str) -> int:
    """Width of the base over width of an adapter, where none is given."""
    return LANGUAGE_REDUCTION if role == LANGUAGE else RANKING_REDUCTION


class LanguageAdapter(PlainPart):
    """A bottleneck after each feed-forward block, and a coupling after the embeddings whose inverse
    runs before the output embeddings."""

    rate = RATES["language"]
    reads = frozenset({"reduction", "start"})

    def build(self, ground: Ground) -> Any:
        from polyrank.training.language.students import AdapterStudent

        base = ground.base
        adapter = _started(ground) if ground.shape.start is not None else _new(ground)
        return AdapterStudent(base.model, adapter.to(base.model.device))

    def options(self, ground: Ground, model: Any) -> Mapping[str, Any]:
        from polyrank.modules.card import read_card
        from polyrank.training.loop.stack import language_below

        reduction = ground.base.model.config.hidden_size // model.adapter.width
        start = ground.shape.start
        if start is None:
            return {"reduction": reduction}
        card = read_card(language_below(ground.base, "adapter", start, ground.zoo))
        sha256 = KINDS[card.kind].parent_hash(card.files)
        return {"reduction": reduction, "start": {"name": card.full_name, "sha256": sha256}}

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.training.language.trainable_adapter import save_trained_adapter

        model_type = ground.base.model.config.model_type
        adapter = fitted.model.adapter.cpu()
        return save_trained_adapter(adapter, output, card, model_type=model_type)


class RankingAdapter(PlainPart):
    """A bottleneck after each feed-forward block over a frozen language adapter, and a head."""

    rate = RATES["ranking"]
    reads = frozenset({"reduction", "over"})
    beneath: str | None = "adapter"

    def build(self, ground: Ground) -> Any:
        model = self.stack(ground)
        model.add_classification_head(ground.name, num_labels=1, layers=2)
        return model

    def stack(self, ground: Ground) -> Any:
        """Base, language adapter, ranking adapter."""
        from polyrank.training.loop.stack import adapter_stack

        return adapter_stack(ground.base, ground.below, ground.name, _reduction(ground))

    def options(self, ground: Ground, model: Any) -> Mapping[str, Any]:
        return {"reduction": _reduction(ground)}

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.training.language.language_model import save_named

        return save_named(fitted.model, ground.name, output, card, head=True)


class TokenAdapter(RankingAdapter):
    """The same under a projection of tokens, without a head."""

    def build(self, ground: Ground) -> Any:
        return self.stack(ground)

    def options(self, ground: Ground, model: Any) -> Mapping[str, Any]:
        return {}  # every recipe of late interaction writes its reduction

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.training.language.language_model import save_named

        return save_named(fitted.model.model, ground.name, output, card)


class VectorAdapter(TokenAdapter):
    """The same under what makes scores of the encoder's vectors: of views, or of single texts."""

    def options(self, ground: Ground, model: Any) -> Mapping[str, Any]:
        return {"reduction": _reduction(ground)}


class StudentAdapter(PlainPart):
    """A ranking adapter over the student of phase 1, which stays as it is."""

    rate = RATES["ranking"]
    reads = frozenset({"reduction"})
    form = "adapter"

    def build(self, ground: StudentGround) -> Any:
        from polyrank.base import load_base
        from polyrank.training.distillation.student import adapter_student
        from polyrank.training.loop import processes

        below = ground.folder
        with processes.main_first():
            if not (below / "config.json").is_file():
                ground.encoder.save_pretrained(below)
                ground.base.tokenizer.save_pretrained(below)
        base = load_base(str(below), attention="eager")
        return adapter_student(base, ground.name, ground.head, _reduction(ground))

    def options(self, ground: StudentGround, model: Any) -> Mapping[str, Any]:
        return {"reduction": _reduction(ground)}

    def save(self, fitted: Fitted, ground: StudentGround, output: Path, card: Any) -> Any:
        from polyrank.training.distillation.student_folder import save_with_adapter

        return save_with_adapter(fitted.model, ground.folder, output, card, fitted.probe)


class AdapterTeaching:
    """Adapters as teachers: the trimmed encoder with the adapter of each batch's language."""

    def languages(self, trimmed: Base, kept: Sequence[int], folders: Mapping[str, Any]) -> Teacher:
        from polyrank.modules.adapter.adapter_folder import load_adapter_module
        from polyrank.training.distillation.teacher import Teacher

        adapters = {
            language: load_adapter_module(folder) if folder else None
            for language, folder in folders.items()
        }
        return Teacher(trimmed.model, adapters=adapters)

    def ranking(
        self, trimmed: Base, kept: Sequence[int], language: str, below: Path | None, folder: Path
    ) -> tuple[Teacher, Head]:
        from polyrank.modules.adapter.adapter_folder import load_adapter_module
        from polyrank.training.distillation.teacher import Teacher

        ranking = load_adapter_module(folder)
        adapters = {language: load_adapter_module(below) if below else None}
        assert ranking.head is not None
        return Teacher(trimmed.model, adapters=adapters, ranking=ranking), ranking.head


class Adapter:
    """What the kind's row names as its training."""

    parts: Mapping[str, Part] = {
        LANGUAGE: LanguageAdapter(),
        RANKING: RankingAdapter(),
        LATE_INTERACTION: TokenAdapter(),
        MULTI_VIEW: VectorAdapter(),
        SINGLE_TEXTS: VectorAdapter(),
        STUDENT: StudentAdapter(),
    }
    teaching: Teaching | None = AdapterTeaching()


ADAPTER = Adapter()


def _reduction(ground: Ground) -> int:
    return ground.shape.reduction or usual_reduction(ground.role)


def _new(ground: Ground) -> Any:
    from polyrank.training.language.language_model import adapter_width
    from polyrank.training.language.trainable_adapter import TrainableAdapter

    config = ground.base.model.config
    width = adapter_width(ground.base, _reduction(ground))
    return TrainableAdapter(
        ground.name, config.hidden_size, config.num_hidden_layers, width, width, seed=ground.seed
    )


def _started(ground: Ground) -> Any:
    """An adapter like the one to start from."""
    from polyrank.errors import UsageError
    from polyrank.modules.adapter.adapter_folder import load_adapter_module
    from polyrank.training.language.language_model import adapter_width
    from polyrank.training.language.trainable_adapter import TrainableAdapter
    from polyrank.training.loop.stack import language_below

    start, reduction = str(ground.shape.start), ground.shape.reduction
    width = adapter_width(ground.base, _reduction(ground))
    folder = language_below(ground.base, "adapter", start, ground.zoo)
    adapter = TrainableAdapter.of(load_adapter_module(folder), ground.name)
    if reduction is not None and adapter.width != width:
        raise UsageError(
            f"--reduction {reduction} makes bottlenecks of {width}, but those of '{start}' have "
            f"{adapter.width}; leave it out to keep the sizes of --start"
        )
    return adapter
