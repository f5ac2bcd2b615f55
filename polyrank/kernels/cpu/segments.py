"""The maximum of every document's rows, whatever their numbers.

A reduction over equal runs is vectorised and costs a tenth of the product before it; a reduction
for each document costs as much as the product, in calls. So rows of unequal documents are first
laid out in equal runs, by repeating each document's last row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.kernels.cpu.product import Workspace

SPLIT = 1 << 15  # similarities of a document from which a call for each is cheaper than the copy


@dataclass(frozen=True)
class Runs:
    """Which rows belong to which document, in order.

    lengths: of each document, int64 (n,), at least 0; None: all have `longest`.
    count, longest: of documents, and of the rows of the longest one.
    rows: which rows can win, ascending, (sum of lengths,); None: all.
    """

    count: int
    longest: int
    lengths: Tensor | None = None
    rows: Tensor | None = None


def best(
    similarity: Tensor, runs: Runs, argmax: bool, room: Workspace
) -> tuple[Tensor, Tensor | None]:
    """The maximum of each document's rows, and the lowest of the rows that have it.

    Args:
        similarity: (rows, R); overwritten.
        runs: at least one document with a row. One without gets some other document's values.

    Returns:
        (n, R), and with `argmax` int64 (n, R), counted among the document's rows that can win.
    """
    columns = similarity.shape[1]
    if runs.lengths is None:
        return _best_of_equal(similarity.view(runs.count, runs.longest, columns), argmax)
    if not argmax and len(similarity) * columns > SPLIT * runs.count and runs.rows is None:
        parts = similarity.split(runs.lengths.tolist())
        return torch.stack([_greatest(part) for part in parts]), None
    # n-th row of a document: its last one from there on; of a document without rows: anything.
    eligible = len(similarity) if runs.rows is None else len(runs.rows)
    starts = (runs.lengths.cumsum(0) - runs.lengths).clamp_(max=eligible - 1).int()
    place = torch.arange(runs.longest, device=similarity.device, dtype=torch.int32)
    last = (runs.lengths - 1).clamp_(min=0).int()
    index = place.minimum(last[:, None]).add_(starts[:, None]).flatten()
    if runs.rows is not None:
        index = runs.rows[index]
    cube = torch.index_select(similarity, 0, index, out=room.take(len(index), columns))
    return _best_of_equal(cube.view(runs.count, runs.longest, columns), argmax)


def _greatest(part: Tensor) -> Tensor:
    return part.amax(dim=0) if len(part) else part.new_full(part.shape[1:], -torch.inf)


def _best_of_equal(cube: Tensor, argmax: bool) -> tuple[Tensor, Tensor | None]:
    """(n, L, R) -> (n, R) twice. `max` finds both, without vectors, in three times the time."""
    best = cube.amax(dim=1)
    if not argmax:
        return best, None
    length = cube.shape[1]
    if length >= 1 << 24:  # fp32 does not hold every position
        return best, cube.max(dim=1).indices
    place = torch.arange(-length, 0, device=cube.device, dtype=cube.dtype)  # the first is least
    first = cube.eq_(best[:, None]).mul_(place[:, None]).amin(dim=1)
    return best, first.long().add_(length).clamp_(max=length - 1)  # a NaN equals nothing
