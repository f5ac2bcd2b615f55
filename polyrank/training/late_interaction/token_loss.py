"""The loss of models that read texts one by one: scores over a batch, and a loss of its lists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from polyrank.training.loop.processes import gather, share
from polyrank.training.loop.steps import Batch
from polyrank.training.losses import Loss


class TokenLoss:
    """Scores of every question with every passage of a batch, and a loss of them.

    How they meet is the model's: MaxSim in late interaction; see `ranking.text_models`.

    Args:
        loss: of the lists; its in-batch terms take all scores of the batch.
        chunk: texts encoded at a time; 0 for all. The token vectors of all chunks meet in one loss,
            then each chunk is encoded again for its share of the gradient, so that memory holds one
            chunk's activations only, and the gradient is that of the whole batch (gradient caching:
            Gao et al. 2021, arXiv 2101.06983).
    """

    def __init__(self, loss: Loss, chunk: int = 0) -> None:
        self.loss, self.chunk = loss, chunk

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        queries, passages = batch["queries"], batch["passages"]
        query_vectors = gather(self.encode(model, share(queries)))  # (B, Lq, dim), or (B, dim)
        passage_vectors = gather(self.encode(model, share(passages)))  # (M, Ld, dim), or (M, dim)
        with torch.autocast(query_vectors.device.type, enabled=False):  # scores are fp32
            scores = model.interact(
                query_vectors, passage_vectors, queries["scored"], passages["scored"]
            )  # (B, M)
        lists = scores.gather(1, batch["place"])  # (B, N)
        total = scores.new_zeros(())
        for term in self.loss.terms:
            if term.named.in_batch:
                total = total + term(scores, batch["place"][:, 0], batch["allowed"])
            else:
                total = total + term(lists, batch.get("teacher"), batch["mask"])
        return total

    def encode(self, model: nn.Module, texts: Batch) -> Tensor:
        ids, attended = texts["ids"], texts["attended"]
        if not self.chunk or len(ids) <= self.chunk:
            vectors: Tensor = model(ids, attended)
            return vectors
        pieces = zip(ids.split(self.chunk), attended.split(self.chunk), strict=True)
        return torch.cat([checkpoint(model, *piece, use_reentrant=False) for piece in pieces])
