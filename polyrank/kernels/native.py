"""MaxSim by the compiled kernel of `native.c`, for x86 CPUs with AVX2 or AVX-512.

It is built when polyrank is installed, if there is a C compiler; without it, or on another CPU, the
same is done by PyTorch (`scan.py`), and the environment variable POLYRANK_NATIVE=0 asks for that.
Scores differ between the two by rounding. The kernel's own bits are the same for any number of
threads, any block and either instruction set.
"""

from __future__ import annotations

import os
import warnings
from ctypes import CDLL, POINTER, Structure, byref, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.pieces import Piece, even, parts, pieces, share

VERSION = 2  # of native.c, which says the same

_KINDS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}  # what `Rows` of vectors are
_INT8, _RESIDUAL = 3, 4


@dataclass(frozen=True, eq=False)
class Rows:
    """Document tokens as they are stored.

    vectors: (Td, d) fp32, fp16 or bf16; int8 with scales; or the bytes of residuals,
        (Td, d · bits / 8), with the rest.
    scales: (Td,) fp32 or fp16: of int8, or the inverse norms of residuals.
    codes: (Td,) int32, the centroids of residuals. centroids: (K, d) fp32 or fp16.
    weights: (2^bits,) fp32, what the bits of one dimension stand for, read as a number.
    """

    vectors: Tensor
    scales: Tensor | None = None
    codes: Tensor | None = None
    centroids: Tensor | None = None
    weights: Tensor | None = None

    @property
    def kind(self) -> int:
        if self.codes is not None:
            return _RESIDUAL
        return _KINDS[self.vectors.dtype] if self.scales is None else _INT8


class _Texts(Structure):
    _fields_ = [
        ("bounds", c_void_p),
        ("length", c_int64),
        ("picked", c_void_p),
        ("live", c_void_p),
    ]


class _Problem(Structure):  # as in native.c
    _fields_ = [
        ("width", c_int64),
        ("tokens", c_void_p),
        ("queries", _Texts),
        ("documents", _Texts),
        ("rows", c_void_p),
        ("stride", c_int64),
        ("kind", c_int64),
        ("scales", c_void_p),
        ("codes", c_void_p),
        ("centroids", c_void_p),
        ("weights", c_void_p),
        ("bits", c_int64),
        ("half_scales", c_int64),
        ("half_centroids", c_int64),
        ("centroid_count", c_int64),
        ("columns", c_int64),
        ("own", c_int64),
        ("zero_rule", c_int64),
        ("scores", c_void_p),
        ("winners", c_void_p),
    ]


@cache
def _library() -> CDLL | None:
    """The compiled kernel; None where it was not built or was switched off."""
    found = find_spec("polyrank.kernels._native")
    if found is None or found.origin is None or os.environ.get("POLYRANK_NATIVE") == "0":
        return None
    library = CDLL(found.origin)
    if library.polyrank_version() != VERSION:
        warnings.warn(
            "the compiled MaxSim is of another version of polyrank and is not used, which costs "
            "speed alone. Install polyrank again to build it.",
            stacklevel=2,
        )
        return None
    library.polyrank_maxsim.argtypes = [POINTER(_Problem), *[c_int64] * 4, c_int]
    library.polyrank_by_table.argtypes = [
        c_void_p,
        c_int64,
        c_int64,
        c_void_p,
        POINTER(_Texts),
        c_int64,
        c_int64,
        c_void_p,
    ]
    return library


@cache
def level() -> int:
    """2: AVX-512; 1: AVX2; 0: the compiled kernel cannot be used here."""
    library = _library()
    return 0 if library is None else library.polyrank_level()


def takes(queries: Tensor, documents: Tensor) -> bool:
    """Whether the compiled kernel scores these: on a CPU that it knows, not in fp64."""
    cpu = queries.device.type == documents.device.type == "cpu"
    types = {queries.dtype, documents.dtype} <= {*_KINDS, torch.int8, torch.uint8}
    return cpu and types and level() > 0


def forward(
    queries: Tensor,
    rows: Rows,
    problem: Problem,
    argmax: bool = False,
    picked: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Scores (Q, N) and with `argmax` winners int32 (Tq, N), as `scan.scan` gives them.

    Args:
        queries: (Tq, d).
        picked: int64 (N,), the documents of the columns; None: all, in order. Nothing is copied.
    """
    tokens = queries.float().contiguous()
    vectors = rows.vectors if rows.vectors.stride(1) == 1 else rows.vectors.contiguous()
    shape = (problem.queries.count, problem.columns)
    scores = torch.empty(shape)
    winners = torch.full((len(tokens), shape[1]), -1, dtype=torch.int32) if argmax else None
    weights = None if rows.weights is None else F.pad(rows.weights, (0, 16))  # it reads 16
    asked, met = _texts(problem.queries), _texts(problem.documents, picked)
    filled = _Problem(
        width=tokens.shape[1],
        tokens=tokens.data_ptr(),
        queries=asked.structure,
        documents=met.structure,
        rows=vectors.data_ptr(),
        stride=vectors.stride(0) * vectors.element_size(),
        kind=rows.kind,
        scales=_address(rows.scales),
        codes=_address(rows.codes),
        centroids=_address(rows.centroids),
        weights=_address(weights),
        bits=0 if rows.weights is None else len(rows.weights).bit_length() - 1,
        half_scales=rows.scales is not None and rows.scales.dtype == torch.float16,
        half_centroids=rows.centroids is not None and rows.centroids.dtype == torch.float16,
        centroid_count=0 if rows.centroids is None else len(rows.centroids),
        columns=problem.columns,
        own=problem.own,
        zero_rule=problem.zero_mask,
        scores=scores.data_ptr(),
        winners=_address(winners),
    )
    library, instructions = _library(), level()
    assert library is not None

    def score(piece: Piece) -> None:
        _check(library.polyrank_maxsim(byref(filled), *piece, instructions))

    work = (problem.queries.length if problem.own else len(tokens)) * met.rows
    share(pieces(problem, met.ends, len(tokens), parts(work)), score, work)
    if winners is not None and problem.queries.mask is not None:
        winners[~problem.queries.mask] = -1
    return scores, winners


def by_table(table: Tensor, codes: Tensor, offsets: Tensor, picked: Tensor) -> Tensor:
    """MaxSim of one query with some documents, as if every token were its centroid: (N,) fp32.

    Args:
        table: the similarities of centroids with the query's tokens, (K, R) fp32.
        codes: the centroid of each document token, (Td,) int32.
        offsets: int64 (D + 1,). picked: int64 (N,), documents.
    """
    table, codes = table.contiguous(), codes.contiguous()
    scores = torch.empty(len(picked))
    met = _texts(Layout(len(offsets) - 1, 0, offsets), picked)
    library = _library()
    assert library is not None

    def score(part: tuple[int, int]) -> None:
        rows = table.data_ptr(), *table.shape, codes.data_ptr()
        _check(library.polyrank_by_table(*rows, byref(met.structure), *part, scores.data_ptr()))

    work = met.rows * table.shape[1]
    share(even(len(picked), parts(work)), score, work)
    return scores


def _check(failure: int) -> None:
    if failure == 1:
        raise MemoryError("no memory for the maxima of the query tokens")
    if failure == 2:
        raise UsageError(
            "a token's code is beyond the centroids: they are of two indexes, or damaged.\n"
            "Read both from one index; if they are, restore it from a copy or build it again."
        )


@dataclass(frozen=True)
class _Held:
    """Texts as a structure of addresses, with the tensors that must live as long as it.

    rows: of all texts together.
    """

    structure: _Texts
    tensors: tuple[Tensor | None, ...]
    rows: int

    @property
    def ends(self) -> Tensor | None:
        """The offsets, where the columns are all documents in order."""
        offsets, picked, _ = self.tensors
        return offsets if picked is None else None


def _texts(layout: Layout, picked: Tensor | None = None) -> _Held:
    tensors = tuple(
        None if tensor is None else tensor.contiguous()
        for tensor in (layout.offsets, picked, layout.mask)
    )
    offsets, picked, mask = tensors
    if offsets is None:
        rows = layout.length * (layout.count if picked is None else len(picked))
    elif picked is None:
        rows = int(offsets[-1] - offsets[0])
    else:
        rows = int((offsets[picked + 1] - offsets[picked]).sum())
    addresses = _Texts(_address(offsets), layout.length, _address(picked), _address(mask))
    return _Held(addresses, tensors, rows)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
