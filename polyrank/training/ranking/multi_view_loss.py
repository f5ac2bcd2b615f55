"""The loss of a multi-view reranker: of its lists, and of how alike its anchors are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from polyrank.training.loop.processes import gather
from polyrank.training.loop.steps import Batch
from polyrank.training.losses import Loss
from polyrank.training.ranking.ranking_loss import as_lists, own_lists


class MultiViewLoss:
    """A loss of the lists' scores plus a weight times `orthogonality` of the anchors.

    MVP (arXiv 2509.07485) takes infonce at temperature 0.8, with weight 1. Its code applies a
    softmax before a cross-entropy that has one; here there is one.

    Args:
        loss: of the lists.
        weight: of the orthogonality.
    """

    def __init__(self, loss: Loss, weight: float) -> None:
        self.loss, self.weight = loss, weight

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        own = own_lists(batch)
        vectors = model(own["pairs"]).float()  # (own pairs, m, H)
        with torch.autocast(vectors.device.type, enabled=False):
            scores, anchors = model.head(as_lists(vectors, own["mask"]), own["mask"])
            loss = self.loss(gather(scores), batch.get("teacher"), batch["mask"])
            return loss + self.weight * orthogonality(gather(anchors))


def orthogonality(anchors: Tensor) -> Tensor:
    """‖ÂÂᵀ − I‖²_F with Â the anchors at length 1, mean over the batch: (B, m, H) → scalar."""
    unit = normalize(anchors, dim=-1)
    cosines = unit @ unit.transpose(1, 2)  # (B, m, m)
    identity = torch.eye(cosines.shape[-1], device=cosines.device)
    return (cosines - identity).square().sum(dim=(1, 2)).mean()
