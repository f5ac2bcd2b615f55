"""Rows of document tokens, vectors or codes, in the form that the compiled kernel reads.

It reads raw memory, so everything that it trusts is checked or converted here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.errors import UsageError

KINDS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}  # of vectors, as in native.c
_INT8, _RESIDUAL = 3, 4
_READ = 16  # weights that are read whatever the bits


@dataclass(frozen=True, eq=False)
class NativeRows:
    """One token per row, as native.c reads it; made by the functions below, never by hand.

    kind: what a row of `vectors` is, as native.c numbers it. width: d.
    vectors: (Td, d) fp32, fp16, bf16 or int8, or the bytes of residuals (Td, d · bits / 8); the
        numbers of a row lie side by side.
    scales: (Td,) fp32 or fp16: of int8, or the inverse norms of residuals.
    codes: (Td,) int32, the centroids of residuals. centroids: (K, d) fp32 or fp16.
    weights: fp32, what the bits of one dimension stand for, read as a number; 16 at least.
    bits: of a residual's dimension.
    """

    kind: int
    width: int
    vectors: Tensor
    scales: Tensor | None = None
    codes: Tensor | None = None
    centroids: Tensor | None = None
    weights: Tensor | None = None
    bits: int = 0


def vectors(documents: Tensor) -> NativeRows:
    """Vectors (Td, d) of a type in KINDS."""
    return NativeRows(KINDS[documents.dtype], documents.shape[1], _rows(documents))


def int8(values: Tensor, scales: Tensor) -> NativeRows:
    """Int8 (Td, d) with a floating-point scale each.

    Raises:
        UsageError: shapes that do not fit, or tensors that are not on the CPU.
    """
    _check(len(values), scales)
    return NativeRows(_INT8, values.shape[1], _rows(values), _numbers(scales))


def residuals(
    coded: Tensor, codes: Tensor, inverse_norms: Tensor, centroids: Tensor, weights: Tensor
) -> NativeRows:
    """Bytes (Td, d · bits / 8) with a code and an inverse norm each; weights (2^bits,).

    Raises:
        UsageError: shapes that do not fit, or tensors that are not on the CPU.
    """
    width, bits = centroids.shape[1], len(weights).bit_length() - 1
    _check(len(coded), codes, inverse_norms)
    _check(len(centroids), centroids)
    if coded.shape[1] * 8 != width * bits:
        raise UsageError(
            f"residuals of {coded.shape[1]} bytes are not {bits} bits for each of the {width} "
            "dimensions of the centroids; read both from one index"
        )
    padded = torch.nn.functional.pad(weights.float(), (0, _READ))
    numbers = _numbers(inverse_norms), codes.to(torch.int32).contiguous(), _numbers(centroids)
    return NativeRows(_RESIDUAL, width, _rows(coded), *numbers, padded, bits)


def _rows(matrix: Tensor) -> Tensor:
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


def _numbers(numbers: Tensor) -> Tensor:
    """As fp32, or as fp16 where they are that."""
    return (numbers if numbers.dtype == torch.float16 else numbers.float()).contiguous()


def _check(rows: int, *parts: Tensor) -> None:
    for part in parts:
        if len(part) != rows or part.device.type != "cpu":
            raise UsageError(
                f"{len(part)} scales, codes or norms on {part.device} do not fit {rows} tokens on "
                "the CPU; give one for each token, there"
            )
