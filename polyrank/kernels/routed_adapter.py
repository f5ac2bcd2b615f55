"""Bottleneck adapters over tokens that belong to different modules, as one launch.

    onto[t] ← onto[t] + Up_m(act(Down_m(z[t])))        m: the module of token t

Tokens are sorted by module once per batch and cut into tiles of one module each; every layer then
launches once, however many modules the batch mixes. What it computes is what the loop over modules
in `polyrank.encoders.routed` does. Inference only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.kernels.activations import activate
from polyrank.kernels.backend import use_triton
from polyrank.kernels.triton.configuration import adapter_tokens, architecture, power_of_two

Linear = tuple[Tensor, Tensor | None]  # weight (out, in), bias (out,)
Adapter = tuple[Linear, Linear]  # Down, Up


@dataclass(frozen=True, eq=False)
class AdapterStack:
    """One adapter per module, padded to one bottleneck width with zeros, which change nothing:
    every activation takes 0 to 0.

    Attributes:
        down, down_bias: (M, R, H_in), (M, R), R a power of two from 16 on.
        up, up_bias: (M, H_out, R), (M, H_out).
        present: (M + 1,) int32, 0 for a module without adapter; the last is for tiles of no token.
        activation: a name in `polyrank.kernels.activations`.
    """

    down: Tensor
    down_bias: Tensor
    up: Tensor
    up_bias: Tensor
    present: Tensor
    activation: str


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which tokens each module acts on.

    Attributes:
        order: (N,) int64, tokens sorted by module.
        ends: (M + 1,) int64, where each module's tokens end in `order`; 0 for tiles of no token.
        tile_module: (G,) int32, the module of each tile, or M for none.
        tile_start: (G,) int64, where the tile starts in `order`.
        tile: tokens in a tile.
    """

    order: Tensor
    ends: Tensor
    tile_module: Tensor
    tile_start: Tensor
    tile: int


def stack_adapters(adapters: Sequence[Adapter | None], activation: str) -> AdapterStack | None:
    """Adapters of one place in the encoder, by module; None when no module has one there."""
    here = [adapter for adapter in adapters if adapter is not None]
    if not here:
        return None
    (down, _), (up, _) = here[0]
    rank = max(16, *(power_of_two(len(weight)) for (weight, _), _ in here))
    stack = AdapterStack(
        down=down.new_zeros(len(adapters), rank, down.shape[1]),
        down_bias=down.new_zeros(len(adapters), rank),
        up=down.new_zeros(len(adapters), up.shape[0], rank),
        up_bias=down.new_zeros(len(adapters), up.shape[0]),
        present=torch.zeros(len(adapters) + 1, dtype=torch.int32, device=down.device),
        activation=activation,
    )
    for number, adapter in enumerate(adapters):
        if adapter is None:
            continue
        (down, down_bias), (up, up_bias) = adapter
        stack.present[number] = 1
        stack.down[number, : len(down)] = down
        stack.up[number, :, : len(down)] = up
        if down_bias is not None:
            stack.down_bias[number, : len(down)] = down_bias
        if up_bias is not None:
            stack.up_bias[number] = up_bias
    return stack


def assign(module: Tensor, modules: int) -> Assignment:
    """Sort tokens by module and cut them into tiles, without a word from the device to the host.

    Args:
        module: (N,) int64, each token's module, 0 to modules - 1.
    """
    tile = adapter_tokens(architecture(module.device), len(module), modules)
    small = module.to(torch.uint8 if modules <= 256 else torch.int32)  # a sort reads every byte
    found, order = small.sort(stable=True)
    edges = torch.arange(-1, modules, device=module.device)
    bounds = torch.searchsorted(found.int(), edges.int(), right=True)  # (M + 1,), from 0
    starts, ends = bounds[:-1], bounds[1:]
    tiles = (ends - starts + (tile - 1)) // tile
    tile_ends = tiles.cumsum(0)
    # As many tiles as there can be; those beyond the last one find no module.
    number = torch.arange(len(module) // tile + modules, device=module.device)
    tile_module = torch.searchsorted(tile_ends, number, right=True)  # modules: none
    # Where tile 0 of a module would start if all its tiles were counted from the first module on.
    origin = F.pad(starts - (tile_ends - tiles) * tile, (0, 1))
    return Assignment(
        order=order,
        ends=F.pad(ends, (0, 1)),
        tile_module=tile_module.int(),
        tile_start=torch.add(origin[tile_module], number, alpha=tile),
        tile=tile,
    )


def add_adapters(z: Tensor, onto: Tensor, stack: AdapterStack, assignment: Assignment) -> Tensor:
    """Add each token's adapter output to `onto`, in place.

    Args:
        z: (N, H_in), what goes into Down; its rows may lie apart, as those of a half do.
        onto: (N, H_out), likewise; it must not overlap `z`.
        stack: for the modules that `assignment` speaks of.

    Returns:
        `onto`. Products accumulate in fp32. fp32 is multiplied in fp32, on a GPU mostly as three
        products of TF32, whose error is nearly as small (one product, where
        `torch.set_float32_matmul_precision` asks for less). Tokens of a module without adapter
        keep their bits.
    """
    if use_triton(z):
        from polyrank.kernels.triton import routed_adapter_kernel

        return routed_adapter_kernel.add_adapters(z, onto, stack, assignment)
    present, ends = stack.present.tolist(), assignment.ends.tolist()
    starts = [0, *ends[:-1]]
    for number in range(len(stack.down)):
        tokens = assignment.order[starts[number] : ends[number]]
        if not present[number] or len(tokens) == 0:
            continue
        inner = F.linear(z.index_select(0, tokens), stack.down[number], stack.down_bias[number])
        inner = activate(stack.activation, inner)
        onto.index_add_(0, tokens, F.linear(inner, stack.up[number], stack.up_bias[number]))
    return onto
