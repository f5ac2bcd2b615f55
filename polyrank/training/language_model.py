"""The model that a language module is trained in: the base, its masked-language head, the adapter.

The flexible-head model class of the `adapters` library applies an invertible adapter's inverse
before the output embeddings; its static one does not.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.base import Base
from polyrank.modules.adapter_folder import save_adapter_module
from polyrank.modules.card import ModuleCard
from polyrank.quiet import quiet_transformers


def adapter_model(folder: str, attention: str | None = None) -> Any:
    """The base as a model of the `adapters` library, without dropout, with its masked-language
    head if any.

    Args:
        attention: 'eager' where its probabilities are needed; by default the library's choice.
    """
    from adapters import AutoAdapterModel
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    with quiet_transformers():  # the pooler is new and unused
        model = AutoAdapterModel.from_pretrained(
            folder, config=config, torch_dtype=torch.float32, attn_implementation=attention
        )
        if "default" in model.heads and model.heads["default"].config["head_type"] == "masked_lm":
            # the library converts a BERT head without the bias of its output embeddings
            static = AutoModelForMaskedLM.from_pretrained(folder).get_output_embeddings()
            with torch.no_grad():
                model.heads["default"].get_output_embeddings().bias.copy_(static.bias)
    return model


class MaskedHead(nn.Module):
    """The masked-language head over single tokens, with the invertible adapter's inverse.

    (N, H) hidden states → (N, V) logits; the `adapters` head works on whole sequences and would
    compute logits at every position.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.head, self.model = model.heads["default"], model

    def forward(self, hidden: Tensor) -> Tensor:
        inverse = self.model.base_model.get_invertible_adapter()
        return self.head((hidden.unsqueeze(0),), invertible_adapter=inverse)[0].squeeze(0)


def untie(model: Any) -> None:
    """Freeze the masked-language head and give it output embeddings of its own."""
    output = model.heads["default"].get_output_embeddings()
    output.weight = nn.Parameter(output.weight.detach().clone())
    model.heads.requires_grad_(False)


def adapter_config(reduction: int) -> Any:
    """Bottlenecks and an invertible adapter, both with the same reduction."""
    from adapters import SeqBnInvConfig

    return SeqBnInvConfig(reduction_factor=reduction, inv_adapter_reduction_factor=reduction)


def adapter_size(base: Base, reduction: int, invertible: bool = True) -> int:
    """How many parameters an adapter of that reduction has, a head apart."""
    width, layers = base.model.config.hidden_size, base.model.config.num_hidden_layers
    inner, half = width // reduction, width // 2
    bottleneck = 2 * width * inner + inner + width  # Down and Up, each with a bias
    coupling = 2 * half * (half // reduction) + half // reduction + half
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
