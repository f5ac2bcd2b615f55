"""Kernel pooling over token vectors: a reranker between late interaction and a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.late_interaction.marked_text import TextRow, padded
from polyrank.late_interaction.model import LateInteraction, together
from polyrank.modules.interaction import KERNEL_POOLING, load_interaction
from polyrank.modules.kernel_pooling import load_kernels
from polyrank.modules.projection import Projection, embed
from polyrank.zoo.find import find


class KernelScores(LateInteraction):
    """Scores pairs by kernels over the cosines of their tokens; see `modules.kernel_pooling`.

    Arguments are those of `LateInteraction`; `ranking` is a module of `polyrank train ranking
    --architecture kernel-pooling`. Token vectors are those of single texts, but no multi-vector
    index can search by them.

    Raises:
        ModuleError: also a ranking module of another architecture.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        folder = find(self.base.name, "ranking", self.kind, self.ranking, self.zoo)
        self.kernels = load_kernels(folder).to(self.device)

    @staticmethod
    def _read(folder: Path) -> Projection:
        return Projection(load_interaction(folder, KERNEL_POOLING).rules, None)

    @torch.inference_mode()
    def _forward(self, rows: Sequence[TextRow], skipped: Tensor | None) -> list[Tensor]:
        pad = self.base.tokenizer.pad_token_id or 0
        ids, attended, scored = padded(rows, pad, self.device, skipped)
        words = embed(ids, self._encoder.embeddings.word_embeddings, None)
        modules = torch.tensor([row.module for row in rows], device=self.device)
        lengths = [len(row.ids) for row in rows]
        states = self._tokens(ids, attended, modules, words, lengths)
        vectors = self.kernels.mix(words, states)  # (B, L, H)
        return [row[keep] for row, keep in zip(vectors, scored, strict=True)]

    @torch.inference_mode()
    def _meet(self, queries: list[Tensor], documents: list[Tensor]) -> list[float]:
        scores: list[float] = self.kernels(*together(queries, documents)).tolist()
        return scores
