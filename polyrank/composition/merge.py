"""A composition of masks as one Hugging Face checkpoint, which needs no polyrank to run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from polyrank.base import Base
from polyrank.composition.plan import Composition
from polyrank.errors import CompositionError, ModuleError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import read_card
from polyrank.modules.folder import new_folder
from polyrank.modules.full.full_folder import head_linears, with_prefixes
from polyrank.modules.kinds import KINDS
from polyrank.modules.load import load_module
from polyrank.modules.mask.sparse import apply
from polyrank.modules.storage import Batch, Stored, rounded
from polyrank.zoo.find import find


@dataclass(frozen=True)
class Merged:
    """A checkpoint that was written, and how its weights are kept; None where nobody asked."""

    folder: Path
    stored: Stored | None


def merge(
    plan: Composition,
    base: Base,
    folder: str | Path,
    zoo: str | Path | None = None,
    probe: Sequence[Batch] | None = None,
) -> Merged:
    """Write base + masks as a plain checkpoint with its tokenizer.

    With a ranking mask it is a sequence classifier of one logit, the score; without one it is the
    encoder alone. The base is left as it was; a folder that holds anything is not overwritten.

    Args:
        plan: of masks, from `compose`.
        base: the one it was composed for, in fp32.
        folder: where to; loadable with `from_pretrained`.
        zoo: a folder to search for modules before `$POLYRANK_ZOO` and the bundled zoo.
        probe: inputs of the model; given, its weights are stored in fp16, where that changes what
            it computes of them by at most 2 % of its deviation. None stores the base's precision.

    Raises:
        CompositionError: a plan with adapters or a fully fine-tuned model, or for another base.
        ModuleError: a module that is missing or broken, a head that such a checkpoint cannot hold,
            or a folder that holds something.
    """
    _check(plan, base)
    names = dict.fromkeys(name for side in plan.active().values() for name in side)
    folders = [find(base.name, "language", plan.kind, name, zoo) for name in sorted(names)]
    if plan.ranking is not None:
        folders.insert(0, find(base.name, "ranking", plan.ranking_kind, plan.ranking, zoo))
    masks = [load_module(folder) for folder in folders]
    model = encoder = copy.deepcopy(base.model)
    apply(encoder, *(mask.differences for mask in masks if mask.differences is not None))
    if plan.ranking is not None:
        _check_head(masks[0].head, folders[0])
        model = classifier(encoder, masks[0].head)
        with_prefixes(model.config, read_card(folders[0], verify=False).prefixes)
    stored = None
    if probe is not None:
        model, stored = rounded(model, probe, "states" if plan.ranking is None else "scores")
    with new_folder(folder) as temporary:
        model.save_pretrained(temporary)
        base.tokenizer.save_pretrained(temporary)
    return Merged(Path(folder), stored)


def _check(plan: Composition, base: Base) -> None:
    if plan.fingerprint != base.fingerprint:
        raise CompositionError(
            f"this composition is for the base '{plan.base}' ({plan.fingerprint}), but the base is "
            f"'{base.name}' ({base.fingerprint}).\nLoad the base it was made for."
        )
    used = {plan.kind} if any(plan.active().values()) else set()
    used |= {plan.ranking_kind} if plan.ranking is not None else set()
    if any(KINDS[kind].acts != "weights" for kind in used):
        raise CompositionError(
            "only masks can be merged into a base's weights: adapters are layers of their own, and "
            "a full model is a checkpoint already.\nCompose with kind='mask'."
        )


def _check_head(head: Head | None, folder: Path) -> None:
    if head is None or head.activation != "tanh" or len(head.layers) != 2:
        raise ModuleError(
            f"the ranking mask in '{folder}' has no head of two layers with tanh between them, and "
            "a Hugging Face checkpoint holds no other.\nTrain it again, or rerank with polyrank."
        )


def classifier(encoder: Any, head: Head | None) -> Any:
    """The encoder as an `AutoModelForSequenceClassification` of one logit.

    Args:
        encoder: copied.
        head: of two layers with tanh between them; None leaves a random one.
    """
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(encoder.config)
    config.num_labels = 1
    with torch.random.fork_rng(devices=[]):  # nothing else depends on the head's random start
        model = AutoModelForSequenceClassification.from_config(config).to(encoder.dtype).eval()
    model.base_model.load_state_dict(encoder.state_dict(), strict=False)  # lacks BERT's pooler
    if head is None:
        return model
    with torch.no_grad():
        for linear, (weight, bias) in zip(head_linears(model), head.layers, strict=True):
            linear.weight.copy_(weight)
            linear.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)
    return model
