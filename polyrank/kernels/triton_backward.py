"""The Triton path of the gradients' weighted sums: one program a bag, in the order of its list."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.configuration import architecture, power_of_two, sum_tile
from polyrank.kernels.launcher import launch


def weighted_sum(rows: Tensor, index: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """As `backward.weighted_sum`: (T, d), (K,), (K,), (B + 1,) -> fp32 (B, d)."""
    width, bags = rows.shape[1], len(ends) - 1
    sums = rows.new_empty(bags, width, dtype=torch.float32)
    tensors = (rows.contiguous(), index, weight.float(), ends, sums)
    chosen = sum_tile(architecture(rows.device), rows.element_size(), len(index) // max(bags, 1))
    constants = (width, max(power_of_two(width), 16), chosen.tokens)
    launch(_kernel, bags, tensors, (), constants, chosen.warps, chosen.stages)
    return sums


@triton.jit
def _kernel(
    rows,  # (T, WIDTH)
    index,  # (K,)
    weight,  # (K,)
    ends,  # (B + 1,)
    sums,  # (B, WIDTH)
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,  # that the program gathers at a time
):
    bag = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, LANES)
    start = tl.load(ends + bag)
    end = tl.load(ends + bag + 1)
    total = tl.zeros((ROWS, LANES), tl.float32)
    for first in range(start, end, ROWS):
        item = first + tl.arange(0, ROWS)
        listed = item < end
        row = tl.load(index + item, mask=listed, other=0)
        share = tl.load(weight + item, mask=listed, other=0.0)
        vector = tl.load(
            rows + row[:, None] * WIDTH + lane[None, :],
            mask=(listed & (share != 0.0))[:, None] & (lane < WIDTH)[None, :],
            other=0.0,
        )
        total += share[:, None] * vector.to(tl.float32)
    tl.store(sums + bag * WIDTH + lane, tl.sum(total, axis=0), mask=lane < WIDTH)
