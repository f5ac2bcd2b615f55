"""The loss of a cross-encoder: its scores of a batch, as lists."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from torch import Tensor

from polyrank.training.loop import processes
from polyrank.training.loop.precision import full_precision, head_in_fp32
from polyrank.training.loop.processes import gather
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
        own = own_lists(batch)
        with head_in_fp32(model) if taught else nullcontext():
            logits = model(**own["pairs"]).logits.float().squeeze(-1)  # (own pairs,)
        with full_precision(logits.device) if taught else nullcontext():
            scores = gather(as_lists(logits, own["mask"]))  # (B, N)
            return self.loss(scores, batch.get("teacher"), batch["mask"])


def as_lists(values: Tensor, mask: Tensor) -> Tensor:
    """Values of P pairs in row order, (P, …), as (B, N, …); 0 where there is no pair.

    A value is a score, or what a head makes one of, such as vectors of views, (m, H).
    """
    lists = values.new_zeros(*mask.shape, *values.shape[1:])
    lists[mask] = values
    return lists


def own_lists(batch: Batch) -> Batch:
    """This process's queries of a batch, and their pairs."""
    if not processes.together():
        return batch
    first, last = processes.bounds(len(batch["mask"]))
    ends = batch["mask"].sum(dim=1).cumsum(dim=0).tolist()  # pairs up to each query
    pairs = slice(ends[first - 1] if first else 0, ends[last - 1])

    def of_pairs(inputs: Batch) -> Batch:
        return {
            name: part[pairs] if isinstance(part, Tensor) else of_pairs(part)
            for name, part in inputs.items()
        }

    return {
        key: value[first:last] if isinstance(value, Tensor) else of_pairs(value)
        for key, value in batch.items()
    }
