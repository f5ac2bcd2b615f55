"""The Triton path of `add_adapters`: one program takes one tile of tokens through its module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.triton.configuration import adapter_tile, architecture, three_products
from polyrank.kernels.triton.launcher import launch

if TYPE_CHECKING:
    from polyrank.kernels.routed_adapter import AdapterStack, Assignment


@triton.jit
def _activate(x, NAME: tl.constexpr):
    if NAME == "relu":
        x = tl.maximum(x, 0.0)
    elif NAME == "gelu":
        x = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif NAME == "gelu_new":  # ½ (1 + tanh(y)) = sigmoid(2y)
        x = x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    elif NAME == "silu" or NAME == "swish":
        x = x * tl.sigmoid(x)
    elif NAME == "tanh":
        x = 2.0 * tl.sigmoid(2.0 * x) - 1.0
    else:
        tl.static_assert(NAME == "leakyrelu")
        x = tl.where(x > 0, x, 0.01 * x)
    return x


@triton.jit
def _kernel(
    z,
    onto,
    order,
    ends,
    tile_module,
    tile_start,
    present,
    down,
    down_bias,
    up,
    up_bias,
    Z_STRIDE: tl.constexpr,  # known, so that rows are known to be aligned
    ONTO_STRIDE: tl.constexpr,
    WIDTH_IN: tl.constexpr,
    WIDTH_OUT: tl.constexpr,
    RANK: tl.constexpr,
    TILE: tl.constexpr,
    STEP: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
):
    tile = tl.program_id(0)
    module = tl.load(tile_module + tile).to(tl.int64)
    if tl.load(present + module) != 0:
        place = tl.load(tile_start + tile) + tl.arange(0, TILE)
        alive = place < tl.load(ends + module)
        token = tl.load(order + place, mask=alive, other=0)  # 64 bits
        rank = tl.arange(0, RANK)
        inner = tl.zeros((TILE, RANK), tl.float32)
        for first in range(0, WIDTH_IN, STEP):
            column = first + tl.arange(0, STEP)
            inside = column < WIDTH_IN
            x = tl.load(
                z + token[:, None] * Z_STRIDE + column[None, :],
                mask=alive[:, None] & inside[None, :],
                other=0.0,
            )
            weight = tl.load(
                down + module * RANK * WIDTH_IN + rank[None, :] * WIDTH_IN + column[:, None],
                mask=inside[:, None],
                other=0.0,
            )
            inner = tl.dot(x, weight, inner, input_precision=PRECISION)
        inner += tl.load(down_bias + module * RANK + rank)[None, :].to(tl.float32)
        inner = _activate(inner, ACTIVATION).to(down.dtype.element_ty)
        for first in range(0, WIDTH_OUT, STEP):
            column = first + tl.arange(0, STEP)
            inside = column < WIDTH_OUT
            weight = tl.load(
                up + module * WIDTH_OUT * RANK + column[None, :] * RANK + rank[:, None],
                mask=inside[None, :],
                other=0.0,
            )
            bias = tl.load(up_bias + module * WIDTH_OUT + column, mask=inside, other=0.0)
            added = tl.dot(inner, weight, input_precision=PRECISION) + bias[None, :].to(tl.float32)
            address = onto + token[:, None] * ONTO_STRIDE + column[None, :]
            live = alive[:, None] & inside[None, :]
            before = tl.load(address, mask=live, other=0.0).to(tl.float32)
            tl.store(address, (before + added).to(onto.dtype.element_ty), mask=live)


def add_adapters(z: Tensor, onto: Tensor, stack: AdapterStack, assignment: Assignment) -> Tensor:
    """See `routed_adapter.add_adapters`."""
    _, rank, width_in = stack.down.shape
    bytes_each = stack.down.element_size()
    chosen = adapter_tile(architecture(z.device), bytes_each, assignment.tile, rank)
    precision = "tf32"
    if torch.get_float32_matmul_precision() == "highest":
        precision = "tf32x3" if three_products(chosen.tokens, rank) else "ieee"
    launch(
        _kernel,
        len(assignment.tile_module),
        (
            z,
            onto,
            assignment.order,
            assignment.ends,
            assignment.tile_module,
            assignment.tile_start,
            stack.present,
            stack.down,
            stack.down_bias,
            stack.up,
            stack.up_bias,
        ),
        (),
        (
            z.stride(0),
            onto.stride(0),
            width_in,
            stack.up.shape[1],
            rank,
            assignment.tile,
            chosen.rows,
            stack.activation,
            precision,
        ),
        chosen.warps,
        chosen.stages,
    )
    return onto
