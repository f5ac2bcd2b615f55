"""Masks: a sparse difference to the weights of a base, found and trained by LT-SFT.

Ansell et al. 2022, arXiv 2110.07560; see `polyrank.training.loop.lottery_ticket`. The
masked-language head and its output embeddings stay frozen, as for an adapter, because no ranking
uses them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.modules.kinds import KINDS
from polyrank.training.kinds.adapter import usual_reduction
from polyrank.training.kinds.contract import (
    LANGUAGE,
    LATE_INTERACTION,
    RANKING,
    STUDENT,
    Fitted,
    Fitting,
    Ground,
    Part,
    PlainPart,
    StudentGround,
    Teaching,
)
from polyrank.training.loop.sparsity import Sparsity

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.modules.adapter.tensors import Head
    from polyrank.modules.card import ModuleCard
    from polyrank.training.distillation.teacher import Teacher

SPARSE = frozenset({"k", "full-steps", "l1", "freeze-norms", "candidates", "iterations"})


def sparsity_of(ground: Ground) -> Sparsity:
    """With k: without one as many coordinates as an adapter of that reduction has parameters."""
    from polyrank.training.language.language_model import adapter_size

    sparsity, role = ground.shape.sparsity, ground.role
    if sparsity.k is not None:
        return sparsity
    reduction = ground.shape.reduction or usual_reduction(role)
    return replace(sparsity, k=adapter_size(ground.base, reduction, invertible=role == LANGUAGE))


class MaskPart(PlainPart):
    """In two phases: which coordinates, then their values."""

    reads = SPARSE | {"reduction"}
    replaces: Mapping[str, str] = {"reduction": "k"}

    def options(self, ground: Any, model: Any) -> Mapping[str, Any]:
        return asdict(sparsity_of(ground))

    def longest(self, ground: Any, steps: int) -> int:
        return max(steps, ground.shape.sparsity.full_steps or 0)

    def fit(self, model: Any, ground: Any, fitting: Fitting) -> Fitted:
        from polyrank.training.loop.lottery_ticket import train_sparse

        differences, facts = train_sparse(
            model, fitting.batches, fitting.loss, fitting.schedule, sparsity_of(ground),
            fitting.work, fitting.resume, fitting.snapshots,
        )  # fmt: skip
        return Fitted(model, facts, differences)


class LanguageMask(MaskPart):
    """A copy of the base, so that the base stays for comparison."""

    rate = KINDS["mask"].rates["language"]

    def build(self, ground: Ground) -> Any:
        import copy

        from polyrank.training.language.students import WholeStudent

        return WholeStudent(copy.deepcopy(ground.base.model))

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.modules.mask.mask_folder import save_mask_module

        return save_mask_module(fitted.changes, output, card)


class RankingMask(MaskPart):
    """A classifier over base + language mask; stored is what changes beyond these, and the head."""

    rate = KINDS["mask"].rates["ranking"]
    reads = MaskPart.reads | {"over"}
    beneath: str | None = "mask"

    def build(self, ground: Ground) -> Any:
        from polyrank.training.loop.stack import whole_classifier

        model = whole_classifier(ground.base)
        _apply(model.base_model, ground.below)
        return model

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.modules.full import head_of
        from polyrank.modules.mask.mask_folder import save_mask_module

        return save_mask_module(fitted.changes, output, card, head=head_of(fitted.model))


class TokenMask(RankingMask):
    """The encoder alone; the projection and the markers over it move in both phases."""

    def build(self, ground: Ground) -> Any:
        from polyrank.base import load_base

        model = load_base(ground.base.folder).model  # a copy: the base itself stays as it is
        _apply(model, ground.below)
        return model

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.modules.mask.mask_folder import save_mask_module

        assert fitted.changes is not None
        return save_mask_module(fitted.changes, output, card)


class StudentMask(MaskPart):
    """A classifier of which few weights move; it is stored as a whole."""

    rate = KINDS["mask"].rates["ranking"]
    reads = frozenset({"k", "full-steps"})
    replaces: Mapping[str, str] = {}

    def build(self, ground: StudentGround) -> Any:
        from polyrank.training.distillation.student import full_student

        return full_student(ground.encoder, ground.head, ground.seed)

    def options(self, ground: Any, model: Any) -> Mapping[str, Any]:
        return {}  # the facts of the training say them

    def save(self, fitted: Fitted, ground: StudentGround, output: Path, card: Any) -> Any:
        from polyrank.training.distillation.student_folder import save_whole

        return save_whole(fitted, ground, output, card)


class MaskTeaching:
    """Masks as teachers: the trimmed encoder, its weights changed while a batch runs."""

    def languages(self, trimmed: Base, kept: Sequence[int], folders: Mapping[str, Any]) -> Teacher:
        from polyrank.modules.mask.mask_folder import load_mask_module
        from polyrank.training.distillation.teacher import Teacher
        from polyrank.training.distillation.vocabulary import trim_differences

        masks = {
            language: trim_differences(load_mask_module(folder).differences, list(kept))
            for language, folder in folders.items()
            if folder
        }
        return Teacher(trimmed.model, masks=masks)

    def ranking(
        self, trimmed: Base, kept: Sequence[int], language: str, below: Path | None, folder: Path
    ) -> tuple[Teacher, Head]:
        from polyrank.modules.mask.mask_folder import load_mask_module
        from polyrank.modules.mask.sparse import added
        from polyrank.training.distillation.teacher import Teacher
        from polyrank.training.distillation.vocabulary import trim_differences

        mask = load_mask_module(folder)
        parts = [mask.differences, *([load_mask_module(below).differences] if below else [])]
        assert mask.head is not None
        masks = {language: trim_differences(added(parts), list(kept))}
        return Teacher(trimmed.model, masks=masks), mask.head


class Mask:
    """What the kind's row names as its training."""

    parts: Mapping[str, Part] = {
        LANGUAGE: LanguageMask(),
        RANKING: RankingMask(),
        LATE_INTERACTION: TokenMask(),
        STUDENT: StudentMask(),
    }
    teaching: Teaching | None = MaskTeaching()


MASK = Mask()


def _apply(encoder: Any, below: Path | None) -> None:
    """Put a language mask on an encoder."""
    from polyrank.modules.mask.mask_folder import load_mask_module
    from polyrank.modules.mask.sparse import apply

    if below is not None:
        apply(encoder, load_mask_module(below).differences)
