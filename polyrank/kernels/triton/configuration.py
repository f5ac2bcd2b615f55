"""Which tile a kernel uses: one fixed table, so that nothing is tuned in the middle of work.

Lengths are arguments of the kernels, not part of them; only the buckets here are compiled apart.
The entries of sm_90 were timed on an H100 or an H200 (`benchmarks/gpu.py --sweep`); the others
follow from registers and shared memory: a MaxSim tile of R query rows and T document tokens holds R
T fp32 values, and for fewer than 64 rows or in fp32 2 R T, 3 R T with winners.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

MAX_WIDTH = 256  # dimensions of a vector that a tile holds whole; wider ones take the flat path
_TYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class Tile:
    """tokens: text tokens a step. rows: of what they meet, at most, in a program: query tokens for
    MaxSim and codecs, weight columns a step for adapters, nothing for sums."""

    tokens: int
    rows: int
    warps: int
    stages: int


# What a program has of the thing that buckets count -> tile.
_Buckets = dict[int, Tile]

# MaxSim over vectors; buckets of query rows.
_HOPPER_HALF = {32: Tile(64, 32, 4, 4), 64: Tile(64, 64, 4, 3), 128: Tile(64, 128, 4, 3)}
_AMPERE_HALF = {32: Tile(128, 32, 4, 3), 64: Tile(64, 64, 4, 3), 128: Tile(64, 128, 8, 2)}
_SMALL_HALF = {32: Tile(64, 32, 4, 3), 64: Tile(64, 64, 4, 2), 128: Tile(64, 128, 8, 2)}
_LARGE_FULL = {32: Tile(32, 32, 8, 2), 64: Tile(16, 64, 8, 2), 128: Tile(16, 64, 8, 2)}
_SMALL_FULL = {32: Tile(32, 32, 8, 2)}
# MaxSim over bytes, which a program widens itself; buckets of query rows. fp32 has no tensor cores:
# narrow tiles stay in registers.
_INT8_HOPPER = {32: Tile(32, 32, 1, 3), 64: Tile(64, 64, 4, 2), 128: Tile(64, 128, 4, 2)}
_RESIDUAL_HOPPER = {32: Tile(64, 32, 4, 4), 64: Tile(64, 64, 4, 2), 128: Tile(64, 128, 4, 2)}
_BYTES_HALF = {32: Tile(64, 32, 4, 2), 64: Tile(64, 64, 4, 2), 128: Tile(64, 128, 8, 2)}
_BYTES_SMALL = {32: Tile(64, 32, 4, 2), 64: Tile(64, 64, 4, 2), 128: Tile(32, 128, 8, 2)}
_BYTES_FULL = {32: Tile(32, 32, 8, 2)}
# Adapters; buckets of tokens that a module has on average.
_ADAPTER_HOPPER = {16: Tile(16, 64, 4, 2), 32: Tile(32, 64, 4, 2), 256: Tile(64, 64, 4, 2)}
_ADAPTER_HOPPER_FULL = {16: Tile(16, 64, 4, 2), 32: Tile(32, 64, 4, 2), 256: Tile(64, 32, 8, 2)}
_ADAPTER_HALF = {16: Tile(16, 64, 4, 2), 32: Tile(32, 64, 4, 2)}
_ADAPTER_FULL = {16: Tile(16, 64, 4, 2), 32: Tile(32, 64, 4, 2)}
_ADAPTER_SMALL_HALF = {16: Tile(16, 32, 4, 2), 32: Tile(32, 32, 4, 2)}
_ADAPTER_SMALL_FULL = {16: Tile(16, 32, 4, 2), 32: Tile(32, 16, 4, 2)}
# Weighted sums of rows; buckets of rows that a sum has on average.
_SUM = {4: Tile(4, 1, 1, 3), 16: Tile(8, 1, 2, 3)}
_SUM_HOPPER = {4: Tile(4, 1, 1, 1)}

# (kernel, architecture, bytes of a number) -> buckets
_TABLE: dict[tuple[str, str, int], _Buckets] = {
    ("maxsim", "sm_100", 2): _HOPPER_HALF,
    ("maxsim", "sm_90", 2): _HOPPER_HALF,
    ("maxsim", "sm_80", 2): _AMPERE_HALF,
    ("maxsim", "other", 2): _SMALL_HALF,
    ("maxsim", "sm_100", 4): _LARGE_FULL,
    ("maxsim", "sm_90", 4): _LARGE_FULL,
    ("maxsim", "sm_80", 4): _LARGE_FULL,
    ("maxsim", "other", 4): _SMALL_FULL,
    ("int8", "sm_100", 2): _BYTES_HALF,
    ("int8", "sm_90", 2): _INT8_HOPPER,
    ("int8", "sm_80", 2): _BYTES_HALF,
    ("int8", "other", 2): _BYTES_SMALL,
    ("int8", "other", 4): _BYTES_FULL,
    ("residual", "sm_100", 2): _BYTES_HALF,
    ("residual", "sm_90", 2): _RESIDUAL_HOPPER,
    ("residual", "sm_80", 2): _BYTES_HALF,
    ("residual", "other", 2): _BYTES_SMALL,
    ("residual", "other", 4): _BYTES_FULL,
    ("residual-4", "sm_100", 2): _BYTES_HALF,
    ("residual-4", "sm_90", 2): _RESIDUAL_HOPPER,
    ("residual-4", "sm_80", 2): _BYTES_HALF,
    ("residual-4", "other", 2): _BYTES_SMALL,
    ("residual-4", "other", 4): _BYTES_FULL,
    ("adapter", "sm_100", 2): _ADAPTER_HALF,
    ("adapter", "sm_90", 2): _ADAPTER_HOPPER,
    ("adapter", "sm_80", 2): _ADAPTER_HALF,
    ("adapter", "other", 2): _ADAPTER_SMALL_HALF,
    ("adapter", "sm_100", 4): _ADAPTER_FULL,
    ("adapter", "sm_90", 4): _ADAPTER_HOPPER_FULL,
    ("adapter", "sm_80", 4): _ADAPTER_FULL,
    ("adapter", "other", 4): _ADAPTER_SMALL_FULL,
    ("sum", "sm_90", 2): _SUM_HOPPER,
    ("sum", "other", 2): _SUM,
    ("sum", "other", 4): _SUM,
}
_WGMMA = ("sm_90", "sm_100")  # whose matrix products have 64 rows
_ADAPTER_WEIGHTS = 1 << 13  # numbers of a weight at once: 64 columns of a bottleneck of 128


def fits(queries: Tensor, documents: Tensor) -> bool:
    """Whether the Triton kernels take these vectors: 16- or 32-bit floats, at most 256 wide."""
    types = queries.dtype in _TYPES and documents.dtype in _TYPES
    return types and queries.shape[-1] <= MAX_WIDTH


def maxsim_tile(
    architecture: str, bytes_each: int, width: int, query_rows: int, tokens: int, winners: bool
) -> Tile:
    """The tile for vectors of this width, this many query rows, documents about this long."""
    entry = _entry("maxsim", architecture, bytes_each, query_rows)
    crowded = width > 128 or (winners and entry.tokens * entry.rows > 8192)
    least = 64 if architecture in _WGMMA and bytes_each == 2 else 1
    most = max(entry.tokens // 2, least) if crowded else entry.tokens
    return Tile(
        _step(most, tokens),
        entry.rows if width <= 128 else min(entry.rows, 64),
        entry.warps,
        min(entry.stages, 2) if winners else entry.stages,  # room for one program more
    )


def documents_each(tiles: int, documents: int, alone: int = 1) -> int:
    """Documents that a program scores one after the other, so that it reads its queries once.

    As many as leave some programs to each multiprocessor, at most 16; at most `alone` where a
    single tile of queries meets them, since then reading the documents is what takes time.
    """
    return max(min(tiles * documents // 2048, 16 if tiles > 1 else alone), 1)


def scatter_tile(width: int, query_rows: int) -> Tile:
    """The tile for the gradient of documents, which so many query tokens meet.

    rows: query tokens at a time.
    """
    rows = min(max(power_of_two(query_rows), 16), 64 if width <= 128 else 32)
    return Tile(64, rows, 4, 4) if width <= 128 else Tile(64, rows, 8, 3)


def bytes_tile(
    kernel: str, architecture: str, bytes_each: int, query_rows: int, tokens: int
) -> Tile:
    """The tile of "int8", "residual" or "residual-4" for documents about this long.

    bytes_each: of a query's numbers.
    """
    entry = _entry(kernel, architecture, bytes_each, query_rows)
    return Tile(_step(entry.tokens, tokens), entry.rows, entry.warps, entry.stages)


def adapter_tokens(architecture: str, tokens: int, modules: int) -> int:
    """Tokens of one module that a program works on, whatever the type of its numbers."""
    full, half = (_entry("adapter", architecture, n, tokens // max(modules, 1)) for n in (4, 2))
    return min(full.tokens, half.tokens)


def adapter_tile(architecture: str, bytes_each: int, tokens: int, rank: int) -> Tile:
    """The tile for so many tokens (of `adapter_tokens`) and a bottleneck of this width."""
    entry = _entry("adapter", architecture, bytes_each, tokens)
    columns = max(16, min(entry.rows, _ADAPTER_WEIGHTS // rank))
    least = entry.warps * (2 if rank > 256 else 1)
    warps = min(max(tokens * rank * bytes_each // 4096, least), 16)  # else registers spill
    return Tile(tokens, columns, warps, entry.stages)


def three_products(tokens: int, rank: int) -> bool:
    """Whether fp32 can be multiplied as three products of TF32, whose parts need shared memory."""
    return tokens * rank <= 8192


def sum_tile(architecture: str, bytes_each: int, rows: int) -> Tile:
    """The tile for sums of so many rows each."""
    return _entry("sum", architecture, bytes_each, rows)


def _entry(kernel: str, architecture: str, bytes_each: int, size: int) -> Tile:
    """The smallest bucket that holds the size, else the largest."""
    buckets = _TABLE.get((kernel, architecture, bytes_each)) or _TABLE[kernel, "other", bytes_each]
    return buckets[min((key for key in buckets if key >= size), default=max(buckets))]


def _step(most: int, tokens: int) -> int:
    """Document tokens a step: a power of two from 16 on, no more than a document of that length."""
    return min(most, max(power_of_two(tokens), 16))


@cache
def architecture(device: torch.device) -> str:
    """As in the table: sm_90 and so on; a CPU (Triton's interpreter) is 'other'."""
    if device.type != "cuda" or torch.version.hip is not None:
        return "other"
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


def power_of_two(number: int) -> int:
    """The smallest power of two that is not below the number."""
    return 1 << max(number - 1, 0).bit_length()
