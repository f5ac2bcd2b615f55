"""The model that multi-view training moves: encoder, view tokens, head over lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.modules.multi_view import MultiViewHead
from polyrank.training.loop.trained_state import TrainedState


class MultiViewModel(TrainedState):
    """An encoder behind view tokens.

    Args:
        model: what a kind builds: a model of the `adapters` library, or an encoder.
        views: how many view tokens stand first.
    """

    def __init__(self, model: Any, views: int) -> None:
        super().__init__()
        self.model = model
        config = self.base_model.config
        self.head = MultiViewHead(config.hidden_size, views, config.num_attention_heads)

    @property
    def base_model(self) -> Any:
        """The encoder."""
        return self.model.base_model

    def forward(self, pairs: Mapping[str, Tensor]) -> Tensor:
        """Relevance vectors of encoded pairs: (P, L) each → (P, m, H)."""
        table: nn.Embedding = self.base_model.get_input_embeddings()
        views = self.head.views
        first = {"inputs_embeds": self.head.embed(pairs["input_ids"], table)}
        first["attention_mask"] = _before(pairs["attention_mask"], views, 1)
        if "token_type_ids" in pairs:
            first["token_type_ids"] = _before(pairs["token_type_ids"], views, 0)
        hidden: Tensor = self.base_model(**first).last_hidden_state
        return hidden[:, :views]


def _before(rows: Tensor, count: int, value: int) -> Tensor:
    """Rows with some columns of one value before them: (P, L) → (P, count + L)."""
    return torch.cat([rows.new_full((len(rows), count), value), rows], dim=1)
