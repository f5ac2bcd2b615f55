"""What is trained when a language module is: something beside its base, or a copy of the base.

Each maps the tokenizer's inputs to hidden states and says what comes right before the output
embeddings of a masked-language head. The base is never in training mode: without dropout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from polyrank.encoders.routed import RoutedEncoder
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.loop import processes

Inputs = Mapping[str, Tensor]  # input_ids, attention_mask, perhaps token_type_ids, each (B, L)


class Encoding(Protocol):
    """Anything that encodes: the base alone, or with what is trained."""

    def __call__(self, inputs: Inputs) -> Tensor:
        """Hidden states, (B, L, H)."""

    def uncouple(self, hidden: Tensor) -> Tensor:
        """What comes right before the output embeddings, (N, H)."""


class Frozen:
    """The base as it is, without gradients."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    @torch.no_grad()
    def __call__(self, inputs: Inputs) -> Tensor:
        hidden: Tensor = self.encoder(**inputs).last_hidden_state
        return hidden

    def uncouple(self, hidden: Tensor) -> Tensor:
        return hidden


class AdapterStudent(nn.Module):
    """A base with an adapter over all tokens. The base is not part of the module, so a checkpoint
    holds the adapter alone.

    Args:
        encoder: frozen, on the device of the training.
        adapter: to train.
    """

    seen: Tensor  # tokens, in training

    def __init__(self, encoder: Any, adapter: TrainableAdapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.runner = RoutedEncoder(encoder, [])
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: Inputs) -> Tensor:
        if self.training:
            self.seen += processes.total(inputs["attention_mask"].sum())
        return self.runner.differentiable(
            inputs["input_ids"],
            inputs["attention_mask"],
            inputs.get("token_type_ids"),
            language=self.adapter.as_module(),
        )

    def uncouple(self, hidden: Tensor) -> Tensor:
        return self.adapter.uncouple(hidden)


class WholeStudent(nn.Module):
    """A base whose own weights move: those that require gradients.

    Args:
        encoder: to train; a copy, as the base is needed as well.
    """

    seen: Tensor  # tokens, in training

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.base_model = encoder.requires_grad_(True)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> WholeStudent:
        super().train(mode)
        self.base_model.eval()  # no dropout
        return self

    def forward(self, inputs: Inputs) -> Tensor:
        if self.training:
            self.seen += processes.total(inputs["attention_mask"].sum())
        hidden: Tensor = self.base_model(**inputs).last_hidden_state
        return hidden

    def uncouple(self, hidden: Tensor) -> Tensor:
        return hidden
