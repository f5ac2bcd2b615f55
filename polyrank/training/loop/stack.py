"""What a ranking module is trained over: a base, and the frozen language module beneath."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polyrank.base import Base
from polyrank.base.quiet import quiet_transformers
from polyrank.errors import UsageError
from polyrank.modules.adapter.adapter_folder import check_trainable_over
from polyrank.modules.card import Parent, read_card
from polyrank.modules.kinds import KINDS
from polyrank.training.language.language_model import adapter_model, train_only
from polyrank.zoo.find import find


def language_below(base: Base, kind: str, name: str, zoo: str | Path | None) -> Path:
    """The folder of the language module beneath.

    Raises:
        ModuleError: no such module.
        UsageError: a module made for another base.
    """
    folder = find(base.name, "language", kind, name, zoo)
    card = read_card(folder)
    if card.base_fingerprint != base.fingerprint:
        raise UsageError(
            f"the language {kind} '{card.full_name}' was made for another base "
            f"({card.base_fingerprint}); this one is {base.fingerprint}"
        )
    return folder


def parent_of(folder: Path, kind: str) -> Parent:
    """What the card of a ranking module says of the language module beneath."""
    card = read_card(folder)
    return Parent(card.name, card.language, KINDS[kind].parent_hash(card.files))


def adapter_stack(base: Base, below: Path | None, ranking: str | None, reduction: int) -> Any:
    """A model of the `adapters` library: base, frozen language adapter, new ranking adapter.

    Args:
        base: whose kind of attention the model gets.
        below: folder of the language adapter; None for none.
        ranking: name of the ranking adapter, which alone is trained; None for none.
        reduction: width of the base over width of the ranking adapter's bottleneck.
    """
    from adapters import SeqBnConfig
    from adapters.composition import Stack

    model = adapter_model(base.folder, base.model.config._attn_implementation)
    stack = []
    if below is not None:
        check_trainable_over(below)
        name = f"{ranking or 'token'}_parent"
        stack.append(
            model.load_adapter(str(below), use_safetensors=True, with_head=False, load_as=name)
        )
    if ranking is not None:
        model.add_adapter(ranking, config=SeqBnConfig(reduction_factor=reduction))
        train_only(model, ranking)
        stack.append(ranking)
    model.set_active_adapters(Stack(*stack) if stack else None)
    return model


def whole_classifier(base: Base) -> Any:
    """The base as a sequence classifier of one logit, whose head is new."""
    from transformers import AutoModelForSequenceClassification

    with quiet_transformers():  # the pooler and the classifier are new
        model = AutoModelForSequenceClassification.from_pretrained(
            base.folder, num_labels=1, torch_dtype=torch.float32
        )
    return model
