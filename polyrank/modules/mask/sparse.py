"""Sparse differences to a model's weights, and putting them on and off to the bit.

Lottery-ticket sparse fine-tuning: Ansell et al. 2022, Composable Sparse Fine-Tuning, arXiv
2110.07560. There masks are added in place and subtracted again, which drifts by rounding; here the
weights that stood at the changed coordinates are kept, and put back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyrank.errors import ModuleError


@dataclass(frozen=True, eq=False)
class SparseDifference:
    """What a mask adds to one tensor.

    Attributes:
        shape: of the tensor.
        indices: flat row-major positions, strictly increasing, (k,) int64.
        values: what is added there, (k,), floating point.
    """

    shape: tuple[int, ...]
    indices: Tensor
    values: Tensor

    def dense(self) -> Tensor:
        """The difference as a full fp32 tensor."""
        flat = torch.zeros(torch.Size(self.shape).numel())
        flat[self.indices] = self.values.float()
        return flat.view(self.shape)

    def beyond(self, size: int) -> bool:
        """Whether a position lies outside a tensor of so many elements."""
        ends = self.indices[[0, -1]].tolist() if len(self.indices) else [0]
        return min(ends) < 0 or max(ends) >= max(size, 1)


_STRETCH = 1 << 24  # positions that are summed at a time: 80 MiB

# By the tensor's name within the plain encoder, e.g. `encoder.layer.0.output.dense.weight`.
Differences = Mapping[str, SparseDifference]


def count(differences: Differences) -> int:
    """How many coordinates are changed."""
    return sum(len(difference.indices) for difference in differences.values())


def added(masks: Sequence[Differences]) -> dict[str, SparseDifference]:
    """The sum of several masks' differences, in fp32; where they overlap the values add up."""
    names = dict.fromkeys(name for mask in masks for name in mask)
    return {name: _sum([mask[name] for mask in masks if name in mask]) for name in names}


def _sum(parts: Sequence[SparseDifference]) -> SparseDifference:
    """Through a dense stretch at a time, which is faster than to sort the positions."""
    if len(parts) == 1:
        return parts[0]
    device, size = parts[0].indices.device, math.prod(parts[0].shape)
    indices, values = [], []
    for start in range(0, max(size, 1), _STRETCH):
        width = min(_STRETCH, size - start)
        total = torch.zeros(width, device=device)
        touched = torch.zeros(width, dtype=torch.bool, device=device)
        ends = torch.tensor([start, start + width], device=device)
        for part in parts:
            low, high = torch.searchsorted(part.indices, ends).tolist()
            here = part.indices[low:high] - start
            total[here] += part.values[low:high].float()
            touched[here] = True
        found = touched.nonzero().squeeze(1)
        indices.append(found + start)
        values.append(total[found])
    return SparseDifference(parts[0].shape, torch.cat(indices), torch.cat(values))


@contextmanager
def applied(encoder: Any, *masks: Differences) -> Iterator[Any]:
    """Run a block with masks added to an encoder's weights; what stood there comes back after.

    The sum weight + Σ differences is taken in fp32 and rounded once to the weight's dtype. Blocks
    may be nested. The weights are changed for everyone who shares the encoder, other threads too:
    give each thread an encoder of its own, or hold a lock around the block.

    Args:
        encoder: a plain Hugging Face encoder.
        masks: differences by name; several add up.

    Raises:
        ModuleError: a tensor that the encoder lacks or has in another shape; nothing is changed.
    """
    undo = apply(encoder, *masks)
    try:
        yield encoder
    finally:
        revert(encoder, undo)


@torch.no_grad()
def apply(encoder: Any, *masks: Differences) -> dict[str, SparseDifference]:
    """Add masks to an encoder's weights in place; all of them, or on an error none.

    Returns:
        What stood at the changed coordinates, bit for bit, for `revert`. Several calls are undone
        last first.

    Raises:
        ModuleError: as `applied`.
    """
    for mask in masks:
        check_fits(encoder, mask)
    weights = dict(encoder.named_parameters())
    undo: dict[str, SparseDifference] = {}
    try:
        for name, difference in added(masks).items():
            flat = weights[name].detach().view(-1)
            indices = difference.indices.to(flat.device)
            before = flat[indices]
            wide = torch.promote_types(flat.dtype, torch.float32)
            after = before.to(wide) + difference.values.to(flat.device, wide)
            undo[name] = SparseDifference(difference.shape, indices, before)
            flat[indices] = after.to(flat.dtype)
    except BaseException:  # memory that runs out, or Ctrl-C between two tensors
        revert(encoder, undo)
        raise
    return undo


@torch.no_grad()
def revert(encoder: Any, undo: Differences) -> None:
    """Put back what `apply` returned."""
    weights = dict(encoder.named_parameters())
    for name, before in undo.items():
        weights[name].detach().view(-1)[before.indices] = before.values


def check_fits(encoder: Any, mask: Differences) -> None:
    """Raise ModuleError unless an encoder has every tensor that a mask changes, in its shape."""
    weights = dict(encoder.named_parameters())
    for name, difference in mask.items():
        weight = weights.get(name)
        if weight is None:
            reason = "which this base lacks"
        elif tuple(weight.shape) != difference.shape:
            reason = f"of shape {difference.shape}, but this base has {tuple(weight.shape)}"
        elif not weight.is_floating_point() or not weight.is_contiguous():
            reason = "whose weights are quantised or not contiguous here"
        elif difference.beyond(weight.numel()):
            reason = f"at a position outside its {weight.numel()} coordinates"
        else:
            continue
        raise ModuleError(
            f"the mask changes the tensor '{name}', {reason}.\n"
            "Use it with the base it was made for."
        )
