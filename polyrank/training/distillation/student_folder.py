"""Write what distillation leaves, aside and then renamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from polyrank.base import load_base
from polyrank.modules.adapter.adapter_folder import save_adapter_module
from polyrank.modules.card import ModuleCard
from polyrank.modules.folder import replaced
from polyrank.modules.full import with_prefixes
from polyrank.modules.storage import rounded
from polyrank.rerankers.distilled_folder import RANKING, DistilledCard, write_distilled
from polyrank.training.kinds.contract import Fitted, StudentGround
from polyrank.training.loop.steps import Batch


def save_classifier(
    model: Any, tokenizer: Any, folder: Path, card: DistilledCard, probe: Sequence[Batch]
) -> DistilledCard:
    """A sequence classifier of one logit, for any tool; or an encoder, for `--base`.

    Args:
        probe: inputs over which the weights in fp16 must give what the trained ones do.
    """
    kept, stored = rounded(model, probe, "states" if card.form == "encoder" else "scores")
    card = replace(card, stored={**asdict(stored), "note": str(stored)})
    with replaced(folder) as temporary:
        kept.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        return write_distilled(temporary, folder.name, card)


def save_whole(fitted: Fitted, ground: StudentGround, folder: Path, card: DistilledCard) -> Any:
    """A trained student in one piece, which says what prefixes it reads."""
    with_prefixes(fitted.model.config, ground.prefixes)
    return save_classifier(fitted.model, ground.base.tokenizer, folder, card, fitted.probe)


def save_with_adapter(
    model: Any, student: Path, folder: Path, card: DistilledCard, probe: Sequence[Batch]
) -> DistilledCard:
    """The student's encoder as it was, and its ranking adapter as a module of that encoder.

    Args:
        model: of the `adapters` library, with an adapter of the folder's name.
        student: the encoder's folder.
        probe: inputs over which the weights in fp16 must give what the trained ones do.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    _, stored = rounded(model, probe)
    card = replace(card, stored={**asdict(stored), "note": str(stored)})
    encoder = AutoModel.from_pretrained(student, add_pooling_layer=False, dtype=torch.float32)
    if stored.dtype == "float16":
        encoder = encoder.half()
    with replaced(folder) as temporary:
        encoder.save_pretrained(temporary)
        AutoTokenizer.from_pretrained(student).save_pretrained(temporary)
        ranking = ModuleCard(
            role="ranking",
            kind="adapter",
            name=folder.name,
            language=card.source,
            base=folder.name,
            base_fingerprint=load_base(str(temporary)).fingerprint,
            recipe=card.recipe["ranking"],
            data=card.data,
        )
        module, dtype = temporary / RANKING, getattr(torch, stored.dtype)
        save_adapter_module(model, folder.name, module, ranking, head=True, dtype=dtype)
        return write_distilled(temporary, folder.name, card)
