"""What every MaxSim path promises, and how a call becomes the one problem that all of them solve.

    score(q, d) = Σ_i max_j  q_i · d_j        i: live query tokens, j: live document tokens

- A mask is boolean, True for a live token, with holes wherever it likes, on either side.
- A document without live tokens scores -inf. A masked query token adds 0.
- Of equal similarities the lowest token index wins: it alone receives the gradient.
- Similarities and sums are fp32 at least; fp32 vectors are multiplied in fp32 unless
  `torch.set_float32_matmul_precision` asks for less. fp64 stays fp64.
- Row addresses are 64-bit: a corpus may hold more than 2^31 numbers.
- `zero_mask=True` is the rule of PyLate: a masked document token has similarity 0 and may win over
  negative ones, so that an all-masked document scores 0.

Vectors must be finite where they are live: a live NaN or infinity makes the scores that it enters
undefined, and no path looks for one. What a masked row holds, NaN included, never reaches a score.
On a CPU half precision is widened to fp32 a block at a time: it saves memory and bandwidth, not
arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.errors import UsageError


@dataclass(frozen=True)
class Layout:
    """Where texts lie in a flat matrix of token vectors.

    count: of texts. length: of each text, or with offsets their mean, rounded up.
    offsets: text i is rows offsets[i] to offsets[i + 1], int64 (count + 1,); None: equal lengths.
    mask: True for a live row, (rows,); None: all live.
    """

    count: int
    length: int
    offsets: Tensor | None = None
    mask: Tensor | None = None

    def starts(self, device: torch.device) -> Tensor:
        """The first row of each text, int64 (count,)."""
        if self.offsets is not None:
            return self.offsets[:-1]
        return torch.arange(self.count, device=device) * self.length

    def text_of_row(self, rows: int, device: torch.device) -> Tensor:
        """Which text each row belongs to, int64 (rows,). Rows between texts: a neighbour."""
        if self.offsets is None:
            return torch.arange(rows, device=device) // max(self.length, 1)
        row = torch.arange(rows, device=device)
        return torch.searchsorted(self.offsets[1:], row, right=True).clamp(max=self.count - 1)


@dataclass(frozen=True)
class Problem:
    """Which queries meet which documents.

    columns: N of the (Q, N) scores. own: query q meets documents q·N to q·N + N - 1 alone;
    otherwise every query meets all N documents.
    """

    queries: Layout
    documents: Layout
    columns: int
    own: bool = False
    zero_mask: bool = False


def padded(name: str, vectors: Tensor, mask: Tensor | None) -> Layout:
    """The layout of (..., L, d) vectors with an optional (..., L) mask."""
    if mask is not None:
        _check_mask(name, vectors, mask)
        mask = mask.reshape(-1)
    *texts, length, _ = vectors.shape
    return Layout(math.prod(texts), length, mask=mask)


def packed(name: str, vectors: Tensor, offsets: Tensor, mask: Tensor | None) -> Layout:
    """The layout of (T, d) vectors with (n + 1,) offsets and an optional (T,) mask."""
    if vectors.dim() != 2:
        raise UsageError(f"packed {name} are (tokens, d), not {tuple(vectors.shape)}.")
    if offsets.dim() != 1 or offsets.numel() < 1 or offsets.is_floating_point():
        raise UsageError(
            f"the offsets of the {name} are (n + 1,) integers, the first row of each text and the "
            f"end of the last, not {offsets.dtype} of shape {tuple(offsets.shape)}."
        )
    if mask is not None:
        _check_mask(name, vectors, mask)
    if offsets.device.type == "cpu":  # elsewhere a look at the values would stall the device
        _check_offsets(name, offsets, len(vectors))
    count = offsets.numel() - 1
    offsets = offsets.to(vectors.device, torch.int64)
    return Layout(count, -(-len(vectors) // max(count, 1)), offsets, mask)


def check_vectors(queries: Tensor, documents: Tensor, dims: tuple[int, int]) -> None:
    """Raise UsageError unless both are floating-point, of the same width, and of these ranks."""
    for name, vectors, rank in zip(
        ("queries", "documents"), (queries, documents), dims, strict=True
    ):
        if vectors.dim() != rank:
            raise UsageError(
                f"{name} must have {rank} dimensions here, not shape {tuple(vectors.shape)}. "
                "maxsim takes (Q, Lq, d) and (D, Ld, d), maxsim_per_query documents (Q, N, Ld, d), "
                "maxsim_pairs (B, Lq, d) and (B, Ld, d), maxsim_packed (T, d) with offsets."
            )
        if not vectors.is_floating_point():
            raise UsageError(
                f"{name} must be floating point, not {vectors.dtype}; decode them first."
            )
    if queries.shape[-1] != documents.shape[-1]:
        raise UsageError(
            f"queries have {queries.shape[-1]} dimensions and documents {documents.shape[-1]}: "
            "they come from different projections."
        )
    if queries.device != documents.device:
        raise UsageError(
            f"queries are on {queries.device} and documents on {documents.device}; move one."
        )


def check_aligned(queries: Tensor, documents: Tensor) -> None:
    """Raise UsageError unless there are as many lists (or pairs) as queries."""
    if len(queries) != len(documents):
        raise UsageError(
            f"{len(queries)} queries but documents for {len(documents)}: the first dimensions must "
            "be equal. To score every query against every document use maxsim."
        )


def _check_mask(name: str, vectors: Tensor, mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise UsageError(f"the mask of the {name} must be boolean, not {mask.dtype}; use .bool().")
    if mask.shape != vectors.shape[:-1]:
        raise UsageError(
            f"the mask of the {name} has shape {tuple(mask.shape)}, their tokens "
            f"{tuple(vectors.shape[:-1])}."
        )
    if mask.device != vectors.device:
        raise UsageError(f"the mask of the {name} is on {mask.device}, they on {vectors.device}.")


def _check_offsets(name: str, offsets: Tensor, rows: int) -> None:
    if offsets[0] < 0 or offsets[-1] > rows or (offsets[1:] < offsets[:-1]).any():
        raise UsageError(
            f"the offsets of the {name} must not decrease and must stay within 0 and {rows}, "
            "the number of rows."
        )
