"""Who teaches phase 2: the base's modules, a cross-encoder, or several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import read_card
from polyrank.progress import note
from polyrank.training.distillation.cross_encoders import CrossEncoderTeacher, Judge, MeanTeacher
from polyrank.training.distillation.state_alignment import States
from polyrank.training.distillation.teacher import ModularTeacher, ranking_teacher
from polyrank.training.loop.steps import Batch
from polyrank.zoo.find import find


@dataclass(frozen=True, eq=False)
class RankingTeacher:
    """The teacher of phase 2.

    Attributes:
        teach: gives states (or None) and scores of a batch.
        head: where a student can start from it.
        described: in words, for the card.
        origin: for the recipe.
        tokenizers: by name, of teachers that read texts their own way.
        prefixes: before queries and passages, as the teacher and so the student reads them.
    """

    teach: Callable[[Batch], tuple[States | None, Tensor]]
    head: Head | None
    described: str
    origin: Mapping[str, Any]
    tokenizers: Mapping[str, Any] = field(default_factory=dict)
    prefixes: tuple[str, str] = ("", "")


def modular(
    base: Base, trimmed: Base, kept: list[int], plan: Composition, zoo: Any
) -> RankingTeacher:
    """The base with the modules of a plan; the first arguments are as of `ranking_teacher`."""
    teacher, head = ranking_teacher(base, trimmed, kept, plan, zoo)
    assert plan.document_language is not None and plan.ranking is not None
    described = f"ranking {plan.ranking_kind} '{Path(plan.ranking).name}'"
    if plan.document_module:
        described += f" over the language {plan.kind} '{plan.document_module}'"
    teach = ModularTeacher(teacher, head, plan.document_language)
    folder = find(base.name, "ranking", plan.ranking_kind, plan.ranking, zoo)
    prefixes = read_card(folder, verify=False).prefixes
    return RankingTeacher(teach, head, described, {"ranking": plan.ranking}, prefixes=prefixes)


def judged(
    base: Base, trimmed: Base, kept: list[int], judges: Sequence[Judge], scale: str
) -> RankingTeacher:
    """One cross-encoder, or the mean of several; one that is unlike the base is told of.

    Args:
        scale: see `rerankers.mean.averaged`.
    """
    teachers = [
        CrossEncoderTeacher(j.name, j.model, j.tokenizer, base, trimmed, kept) for j in judges
    ]
    for one in teachers:
        if not one.aligned:
            note(
                f"the teacher '{one.name}' has another vocabulary or shape than the base "
                f"'{base.name}': its scores are distilled, not its states"
            )
    described = ", ".join(f"cross-encoder '{Path(one.name).name}'" for one in teachers)
    if len(teachers) > 1:
        described = f"the mean ({scale}) of {described}"
    elif scale != "raw":
        described = f"{described} ({scale})"
    plain = len(teachers) == 1 and scale == "raw"
    return RankingTeacher(
        teach=teachers[0] if plain else MeanTeacher(teachers, scale),
        head=next((one.head for one in teachers if one.aligned), None),
        described=described,
        origin={"cross-encoders": [judge.name for judge in judges], "scale": scale},
        tokenizers={one.name: one.tokenizer for one in teachers if not one.aligned},
    )
