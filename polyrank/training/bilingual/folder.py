"""Write what distillation leaves, aside and then renamed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from polyrank.base import load_base
from polyrank.modules.card import ModuleCard
from polyrank.modules.distilled import RANKING, DistilledCard, write_distilled
from polyrank.modules.folder import replaced
from polyrank.training.language import save_named


def save_classifier(model: Any, tokenizer: Any, folder: Path, card: DistilledCard) -> DistilledCard:
    """A sequence classifier of one logit, for any tool; or an encoder, for `--base`."""
    with replaced(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        return write_distilled(temporary, folder.name, card)


def save_with_adapter(
    model: Any, name: str, student: Path, folder: Path, card: DistilledCard, ranking: ModuleCard
) -> DistilledCard:
    """The student's encoder as it was, and its ranking adapter as a module of that encoder.

    Args:
        model: of the `adapters` library, with the adapter `name`.
        student: the encoder's folder.
    """
    from transformers import AutoModel, AutoTokenizer

    with replaced(folder) as temporary:
        AutoModel.from_pretrained(student, add_pooling_layer=False).save_pretrained(temporary)
        AutoTokenizer.from_pretrained(student).save_pretrained(temporary)
        ranking = replace(
            ranking, base=folder.name, base_fingerprint=load_base(str(temporary)).fingerprint
        )
        save_named(model, name, temporary / RANKING, ranking, head=True)
        return write_distilled(temporary, folder.name, card)
