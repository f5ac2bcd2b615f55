"""The int8 codec: a token vector as d signed bytes and one scale, q = round(x / s), x ≈ s · q.

    s = max |x| / 127, rounded up where it is stored in fp16, so that no value is clipped

A value is then off by at most s / 2, and the similarity of a query token q by at most |q|₁ · s / 2.
A token takes d + 4 bytes (d + 2 with fp16 scales): 132 (130) at d = 128, against 256 in bf16.
There is nothing to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels.backend import use_triton
from polyrank.kernels.codecs.codec import Arrays, Codebook, Codec, Queries
from polyrank.kernels.codecs.compressed import check_offsets, check_queries, compiled, live, scan
from polyrank.kernels.cpu import native, native_rows
from polyrank.kernels.cpu.product import product, workspace
from polyrank.kernels.cpu.scan import Rows, Similarity


@dataclass(frozen=True, eq=False)
class Int8Documents:
    """Documents end to end in int8.

    Attributes:
        values: (T, d) int8, -127 to 127.
        scales: (T,) fp32 or fp16.
        offsets: (D + 1,) int64; document i is tokens offsets[i] to offsets[i + 1].
    """

    values: Tensor
    scales: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        check_offsets(self.offsets, len(self.values))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.scales.nbytes + self.offsets.nbytes

    def to(self, device: torch.device | str) -> Int8Documents:
        return replace(
            self,
            values=self.values.to(device),
            scales=self.scales.to(device),
            offsets=self.offsets.to(device),
        )

    def decode(self) -> Tensor:
        """The token vectors, (T, d), fp32; they are not normalised again."""
        return self.values.float() * self.scales.float()[:, None]


def encode_int8(
    vectors: Tensor, offsets: Tensor, scale_dtype: torch.dtype = torch.float32
) -> Int8Documents:
    """Compress packed token vectors.

    Args:
        vectors: (T, d), finite.
        offsets: (D + 1,) int64.
        scale_dtype: fp32, or fp16 for 2 bytes less a token.

    Raises:
        UsageError: vectors that are not finite, or too long for an fp16 scale.
    """
    exact = vectors.float().abs().amax(dim=1) / 127  # (T,)
    stored = exact.to(scale_dtype)
    if scale_dtype == torch.float16:
        # The next fp16 number up, by its bits: all scales are positive.
        up = (stored.view(torch.int16) + 1).view(torch.float16)
        stored = torch.where(stored.float() < exact, up, stored)
    if not stored.isfinite().all():
        raise UsageError(
            f"some vectors are not finite or too long for a scale in {scale_dtype}; "
            "normalise them, or use float32 scales"
        )
    divisor = torch.where(stored > 0, stored.float(), 1.0)[:, None]  # a zero vector stays zero
    values = (vectors.float() / divisor).round_().to(torch.int8)
    return Int8Documents(values, stored, offsets)


@torch.no_grad()
def maxsim_int8(
    queries: Tensor,
    documents: Int8Documents,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
) -> Tensor:
    """MaxSim of every query with every document; arguments and result as of `maxsim_residual`."""
    tokens, width = documents.values.shape
    check_queries(queries, query_mask, document_mask, width, tokens)
    queries = live(queries, query_mask)
    if use_triton(documents.values):
        from polyrank.kernels.triton.int8_kernel import score

        return score(queries, documents, document_mask)
    if native.takes(queries, documents.values):
        rows = native_rows.int8(documents.values, documents.scales)
        return compiled(queries, rows, documents.offsets, document_mask)

    def prepare(columns: Tensor) -> Callable[[], Similarity]:
        return lambda: _similarity(documents, columns)

    return scan(queries, documents.offsets, document_mask, prepare)


def _similarity(documents: Int8Documents, columns: Tensor) -> Similarity:
    """By PyTorch: bytes widened to fp32, times the query tokens (C, d), times the scales."""
    copies, products = (
        workspace(use, columns.device, torch.float32) for use in ("copy", "product")
    )
    multiply = product(columns.device, torch.float32)

    def similarity(rows: Rows, count: int) -> Tensor:
        vectors = copies.take(count, columns.shape[1]).copy_(documents.values[rows])
        return multiply(vectors, columns, products).mul_(documents.scales[rows, None])

    return similarity


def _encode(vectors: Tensor, codebook: Codebook) -> dict[str, Tensor]:
    packed = encode_int8(vectors, torch.tensor([0, len(vectors)]), torch.float16)
    return {"values": packed.values, "scales": packed.scales}


def _score(queries: Queries, arrays: Arrays, offsets: Tensor, codebook: Codebook) -> Tensor:
    documents = Int8Documents(arrays["values"], arrays["scales"], offsets)
    return maxsim_int8(queries.vectors, documents, queries.mask)


INT8 = Codec(
    "int8",
    arrays=("values", "scales"),
    token_bytes=lambda width: width + 2,
    encode=_encode,
    decode=lambda arrays, codebook: arrays["values"].float() * arrays["scales"].float()[:, None],
    score=_score,
    native_rows=lambda arrays, codebook: native_rows.int8(arrays["values"], arrays["scales"]),
)
