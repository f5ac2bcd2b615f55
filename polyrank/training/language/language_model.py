"""Models of the `adapters` library, and how large an adapter is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from polyrank.base import Base
from polyrank.base.quiet import quiet_transformers
from polyrank.errors import UsageError
from polyrank.installed import require
from polyrank.modules.adapter.adapter_folder import save_adapter_module
from polyrank.modules.card import ModuleCard


def adapter_model(folder: str, attention: str | None = None) -> Any:
    """The base as a model of the `adapters` library, without dropout and without heads.

    Args:
        attention: 'eager' where its probabilities are needed; by default the library's choice.
    """
    require("train", "training")
    from adapters import AutoAdapterModel
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    with quiet_transformers():  # the pooler is new and unused
        model = AutoAdapterModel.from_pretrained(
            folder, config=config, torch_dtype=torch.float32, attn_implementation=attention
        )
    if "default" in model.heads:
        model.delete_head("default")
    return model


def adapter_width(base: Base, reduction: int) -> int:
    """The width of a bottleneck.

    Raises:
        UsageError: a reduction that does not divide the base's width.
    """
    hidden = base.model.config.hidden_size
    if reduction < 1 or hidden % reduction:
        divisors = [str(number) for number in range(1, hidden // 2 + 1) if hidden % number == 0]
        raise UsageError(
            f"--reduction {reduction} does not divide the width of the base '{base.name}', "
            f"{hidden}; give one of {', '.join(divisors)}"
        )
    width: int = hidden // reduction
    return width


def adapter_size(base: Base, reduction: int, invertible: bool = True) -> int:
    """How many parameters an adapter of that reduction has, a head apart.

    The coupling of a language adapter is inside as wide as its bottlenecks.
    """
    hidden, layers = base.model.config.hidden_size, base.model.config.num_hidden_layers
    width, half = hidden // reduction, hidden // 2
    bottleneck = 2 * hidden * width + width + hidden  # Down and Up, each with a bias
    coupling = 2 * half * width + width + half
    return layers * bottleneck + (2 * coupling if invertible else 0)  # F and G


def save_named(
    model: Any, name: str, output: Path, card: ModuleCard, head: bool = False
) -> ModuleCard:
    """Writes an adapter in fp16 as a module folder."""
    return save_adapter_module(model, name, output, card, head=head, dtype=torch.float16)


def train_only(model: Any, adapter: str) -> None:
    """Freeze all but an adapter and make it active, without the library's warning.

    It warns that no adapter is active while it makes the first one so.
    """
    logger = logging.getLogger("adapters.model_mixin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        model.train_adapter(adapter)
    finally:
        logger.setLevel(level)
