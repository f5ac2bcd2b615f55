"""Full models: all parameters move, the usual baseline; for ranking only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.modules.kinds import KINDS
from polyrank.training.kinds.contract import (
    LATE_INTERACTION,
    MULTI_VIEW,
    RANKING,
    SHARED,
    SINGLE_TEXTS,
    STUDENT,
    Fitted,
    Fitting,
    Ground,
    Part,
    PlainPart,
    StudentGround,
    Teaching,
    plain,
)

if TYPE_CHECKING:
    from polyrank.modules.card import ModuleCard


class FullRanking(PlainPart):
    """A sequence classifier, over no module."""

    rate = KINDS["full"].rates["ranking"]
    reads = frozenset({"half"})

    def build(self, ground: Ground) -> Any:
        from polyrank.training.loop.stack import whole_classifier

        return whole_classifier(ground.base)

    def fit(self, model: Any, ground: Ground, fitting: Fitting) -> Fitted:
        """Perhaps in fp16 where that changes little on pairs beyond those of the last step."""
        from polyrank.modules.storage import PROBE, rounded

        fitted = plain(model, fitting)
        if not ground.shape.half:
            return fitted
        steps = fitting.schedule.steps
        unseen = [fitting.batches(steps + step)["pairs"] for step in range(PROBE)]
        model, stored = rounded(model.cpu(), unseen)
        about = {**asdict(stored), "note": str(stored)}
        return Fitted(model, {**fitted.facts, "stored": about})

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.modules.full import save_full_module, with_prefixes

        with_prefixes(fitted.model.config, ground.prefixes)
        return save_full_module(fitted.model, ground.base.tokenizer, output, card)


class SharedWeights(PlainPart):
    """What all languages share, over a language adapter: embeddings and language modules stay, so
    that those of other languages still fit (ColBERT-XM: Louis et al. 2025, arXiv 2402.15059)."""

    rate = KINDS["full"].rates["ranking"]
    reads = frozenset({"over"})
    beneath: str | None = "adapter"
    recipe = SHARED

    def build(self, ground: Ground) -> Any:
        from polyrank.training.loop.stack import adapter_stack

        model = adapter_stack(ground.base, ground.below, None, 1)
        from polyrank.training.late_interaction.shared_weights import free_shared

        free_shared(model)
        return model

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.modules.card import write_card
        from polyrank.training.late_interaction.token_model import plain_encoder

        plain_encoder(fitted.model, ground.base).save_pretrained(output)
        ground.base.tokenizer.save_pretrained(output)
        return write_card(output, card)


class FullEncoder(PlainPart):
    """The encoder alone, over no module; what makes scores of its vectors moves with it."""

    rate = KINDS["full"].rates["ranking"]

    def build(self, ground: Ground) -> Any:
        from polyrank.base import load_base

        return load_base(ground.base.folder).model  # a copy: the base itself stays as it is

    def save(self, fitted: Fitted, ground: Ground, output: Path, card: ModuleCard) -> ModuleCard:
        from polyrank.modules.card import write_card

        fitted.model.model.save_pretrained(output)
        ground.base.tokenizer.save_pretrained(output)
        return write_card(output, card)


class FullStudent(PlainPart):
    """All of the student."""

    rate = 3e-4  # chosen on SQuAD dev; the others' were not tuned

    def build(self, ground: StudentGround) -> Any:
        from polyrank.training.distillation.student import full_student

        return full_student(ground.encoder, ground.head, ground.seed)

    def save(self, fitted: Fitted, ground: StudentGround, output: Path, card: Any) -> Any:
        from polyrank.training.distillation.student_folder import save_whole

        return save_whole(fitted, ground, output, card)


class Full:
    """What the kind's row names as its training."""

    parts: Mapping[str, Part] = {
        RANKING: FullRanking(),
        LATE_INTERACTION: SharedWeights(),
        MULTI_VIEW: FullEncoder(),
        SINGLE_TEXTS: FullEncoder(),
        STUDENT: FullStudent(),
    }
    teaching: Teaching | None = None


FULL = Full()
