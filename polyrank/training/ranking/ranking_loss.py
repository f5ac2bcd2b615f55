"""The loss of a cross-encoder: its scores of a batch, as lists."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from torch import Tensor

from polyrank.training.loop.precision import full_precision, head_in_fp32
from polyrank.training.loop.steps import Batch
from polyrank.training.losses import Loss


class RankingLoss:
    """Scores every pair of a batch and hands the lists to a loss.

    Where they are compared with a teacher's scores, both are fp32 also under autocast.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        taught = self.loss.needs_teacher
        with head_in_fp32(model) if taught else nullcontext():
            logits = model(**batch["pairs"]).logits.float().squeeze(-1)
        with full_precision(logits.device) if taught else nullcontext():
            scores = logits.new_zeros(batch["mask"].shape)
            scores[batch["mask"]] = logits  # pairs are in row order, without gaps
            return self.loss(scores, batch.get("teacher"), batch["mask"])
