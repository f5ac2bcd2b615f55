"""The teacher: a trimmed base with the modules of a batch, whose states and attention are kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.composition.plan import Composition, compose
from polyrank.encoders.routed import NO_MODULE, RoutedEncoder, score
from polyrank.modules.adapter.tensors import AdapterModule, Head
from polyrank.modules.interaction import refuse_interaction
from polyrank.modules.mask.sparse import Differences, applied
from polyrank.modules.multi_view import refuse_multi_view
from polyrank.modules.projection import refuse_late_interaction
from polyrank.training.distillation.state_alignment import States, with_probabilities
from polyrank.training.kinds import teaching_of
from polyrank.training.loop.steps import Batch
from polyrank.zoo.find import find


class ObservedEncoder(RoutedEncoder):
    """A `RoutedEncoder` that keeps what its layers compute."""

    def _attention_mask(self, attention_mask: Tensor) -> Tensor | None:
        """Added to the scores: the encoder's own attention runs, since probabilities are asked."""
        shape = attention_mask.shape
        bias: Tensor = self.encoder.get_extended_attention_mask(attention_mask, shape)
        return bias

    def _layer(
        self,
        number: int,
        layer: Any,
        hidden: Tensor,
        mask: Any,
        groups: Any,
        asking: Tensor | None = None,
    ) -> Tensor:
        if number == 0:
            self.hidden, self.attention = [hidden], []
        attended, probabilities = layer.attention.self(hidden, mask, output_attentions=True)[:2]
        self.attention.append(probabilities)
        hidden = self._sublayer(
            number, "attention", layer.attention.output, attended, hidden, groups
        )
        widened = layer.intermediate(hidden)
        result = self._sublayer(number, "output", layer.output, widened, hidden, groups)
        self.hidden.append(result)
        return result


class Teacher:
    """A frozen encoder that runs each batch with one language's module.

    Args:
        encoder: trimmed; its weights change while a mask is on, and come back after.
        adapters: language → adapter; None for a language without.
        masks: language → differences, for the trimmed encoder.
        ranking: a ranking adapter over the language's.
    """

    def __init__(
        self,
        encoder: Any,
        adapters: dict[str, AdapterModule | None] | None = None,
        masks: Mapping[str, Differences] | None = None,
        ranking: AdapterModule | None = None,
    ) -> None:
        self.encoder = encoder.eval().requires_grad_(False)
        self.masks, self.adapters, self.ranking = masks or {}, adapters or {}, ranking
        self._routed: ObservedEncoder | None = None

    def __call__(self, inputs: Batch, language: str) -> States:
        """States and attention of a batch, none of which asks for gradients."""
        self.encoder.to(inputs["input_ids"].device)
        mask = self.masks.get(language)
        with torch.no_grad(), applied(self.encoder, mask) if mask else nullcontext():
            if self.ranking is None and self.adapters.get(language) is None:
                return States.of(
                    self.encoder(**inputs, output_hidden_states=True, output_attentions=True)
                )
            return self._with_adapters(inputs, language)

    def _with_adapters(self, inputs: Batch, language: str) -> States:
        if self._routed is None:
            self._routed = ObservedEncoder(self.encoder, list(self.adapters.values()), self.ranking)
        ids = inputs["input_ids"]
        there = self.adapters.get(language) is not None
        number = list(self.adapters).index(language) if there else NO_MODULE
        types = inputs.get("token_type_ids")
        self._routed(ids, inputs["attention_mask"], types, torch.full_like(ids, number))
        # outside the inference mode of the encoder a clone is a tensor that a loss may keep
        return States(
            [state.clone() for state in self._routed.hidden],
            [attention.clone() for attention in with_probabilities(self._routed.attention)],
        )


class ModularTeacher:
    """Base, source-language module and ranking module: states and scores of a batch."""

    def __init__(self, teacher: Teacher, head: Head, language: str) -> None:
        self.teacher, self.head, self.language = teacher, head, language

    def __call__(self, batch: Batch) -> tuple[States | None, Tensor]:
        states = self.teacher(batch["pairs"], self.language)
        return states, score(states.hidden[-1], self.head).clone()  # which a loss may keep


def plan_of(
    base: Base, language: str, kind: str, fallback: str, zoo: str | Path | None, ranking: str | None
) -> Composition:
    """One language's module for all tokens, and the ranking module over it; checked."""
    return compose(base, ranking, language, language, "document", kind, fallback, zoo)


def language_teacher(
    base: Base, trimmed: Base, kept: list[int], plans: dict[str, Composition], zoo: Any
) -> Teacher:
    """Of phase 1: the base with the module of each batch's language.

    Args:
        base, trimmed, kept: the full base, the trimmed one, and which entries it has.
        plans: of each language, without a ranking module.
    """
    kind = next(iter(plans.values())).kind
    names = {language: plan.document_module for language, plan in plans.items()}
    folders = {
        language: find(base.name, "language", kind, name, zoo) if name else None
        for language, name in names.items()
    }
    return teaching_of(kind).languages(trimmed, kept, folders)


def ranking_teacher(
    base: Base, trimmed: Base, kept: list[int], plan: Composition, zoo: Any
) -> tuple[Teacher, Head]:
    """Of phase 2: the base with the source language's module and the ranking module.

    Returns:
        The teacher, for the plan's language, and the ranking module's head.
    """
    assert plan.document_language is not None and plan.ranking is not None
    language, name = plan.document_language, plan.document_module
    below = find(base.name, "language", plan.kind, name, zoo) if name else None
    folder = find(base.name, "ranking", plan.ranking_kind, plan.ranking, zoo)
    refuse_late_interaction(folder)
    refuse_multi_view(folder)
    refuse_interaction(folder)
    return teaching_of(plan.kind).ranking(trimmed, kept, language, below, folder)
