"""One vector a text, under the language module of the text: what dense retrieval compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base.pooling import pooled
from polyrank.late_interaction.marked_text import TextRow, padded
from polyrank.late_interaction.model import LateInteraction
from polyrank.modules.interaction import DOT_PRODUCT, load_interaction
from polyrank.modules.projection import Projection, embed
from polyrank.zoo.find import find


class PooledVectors(LateInteraction):
    """Late interaction with a single vector, pooled over all live tokens as the base's card says.

    With one vector on each side MaxSim is the cosine. Arguments are those of `LateInteraction`,
    without a ranking module: a base for retrieval needs none.
    """

    @torch.inference_mode()
    def _forward(self, rows: Sequence[TextRow], skipped: Tensor | None) -> list[Tensor]:
        pad = self.base.tokenizer.pad_token_id or 0
        ids, attended, _ = padded(rows, pad, self.device, skipped)
        words = embed(ids, self._encoder.embeddings.word_embeddings, None)
        modules = torch.tensor([row.module for row in rows], device=self.device)
        lengths = [len(row.ids) for row in rows]
        states = self._tokens(ids, attended, modules, words, lengths).float()  # (B, L, H)
        return list(self._pooled(states, attended)[:, None, :])  # each (1, H)

    def _pooled(self, states: Tensor, attended: Tensor) -> Tensor:
        """Unit vectors: (B, L, H) and (B, L) → (B, H)."""
        vectors = pooled(states, attended, self.base.card.pooling)
        return torch.nn.functional.normalize(vectors, dim=1)


class DotProduct(PooledVectors):
    """A bi-encoder: the dot product of two texts' vectors, which are not normalised.

    Arguments are those of `LateInteraction`; `ranking` is a module of `polyrank train ranking
    --architecture dot-product` (Hofstätter et al. 2020, arXiv 2010.02666, BERT_DOT).

    Raises:
        ModuleError: also a ranking module of another architecture.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        folder = find(self.base.name, "ranking", self.kind, self.ranking, self.zoo)
        self.pooling = load_interaction(folder, DOT_PRODUCT).pooling

    @staticmethod
    def _read(folder: Path) -> Projection:
        return Projection(load_interaction(folder, DOT_PRODUCT).rules, None)

    def _pooled(self, states: Tensor, attended: Tensor) -> Tensor:
        return pooled(states, attended, self.pooling)

    def identity(self) -> Mapping[str, str]:
        """Also how texts are pooled."""
        return {**super().identity(), "pooling": self.pooling}
