"""One vector a text, under the language module of the text: what dense retrieval compares."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from polyrank.base.pooling import pooled
from polyrank.late_interaction.marked_text import TextRow, padded
from polyrank.late_interaction.model import LateInteraction
from polyrank.modules.projection import embed


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
        vectors = pooled(states, attended, self.base.card.pooling)
        return list(torch.nn.functional.normalize(vectors, dim=1)[:, None, :])  # each (1, H)
