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
from torch import Tensor
from torch.nn import Parameter

from polyrank.errors import UsageError
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.cpu.native_rows import KINDS, NativeRows
from polyrank.kernels.cpu.pieces import Piece, even, parts, pieces, share

VERSION = 3  # of native.c, which says the same


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
        ("row_bytes", c_int64),
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
    found = find_spec("polyrank.kernels.cpu._native")
    if found is None or found.origin is None or os.environ.get("POLYRANK_NATIVE") == "0":
        return None
    try:
        library = CDLL(found.origin)
        same = library.polyrank_version() == VERSION
    except (OSError, AttributeError):  # damaged, made for another system, or another library
        same = False
    if not same:
        warnings.warn(
            "the compiled MaxSim is of another version of polyrank, or damaged, and is not used, "
            "which costs speed alone. Install polyrank again to build it.",
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
    """Whether the compiled kernel scores these queries with these vectors, or bytes of a codec: on
    a CPU that it knows, not in fp64, and not while something else than memory stands behind them
    (a tracer, a transformation, a subclass)."""
    types = queries.dtype in KINDS and documents.dtype in {*KINDS, torch.int8, torch.uint8}
    plain = _is_memory(queries) and _is_memory(documents)
    return types and plain and level() > 0 and not _is_watched()


def _is_memory(tensor: Tensor) -> bool:
    """Whether a tensor is what lies at its address, on the CPU."""
    own = type(tensor) in (Tensor, Parameter) and tensor.device.type == "cpu"
    lazy = tensor.is_neg() or tensor._is_zerotensor()
    return own and not lazy and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def _is_watched() -> bool:
    """Whether operations are being recorded, which a call past PyTorch would escape."""
    return torch._C._len_torch_dispatch_stack() > 0 or torch.compiler.is_compiling()


def forward(
    queries: Tensor,
    documents: NativeRows,
    problem: Problem,
    argmax: bool = False,
    picked: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Scores (Q, N) and with `argmax` winners int32 (Tq, N), as `scan.scan` gives them.

    Args:
        queries: (Tq, d).
        picked: int64 (N,), the documents of the columns; None: all, in order. Nothing is copied.

    Raises:
        UsageError: queries, offsets, masks or codes that do not fit the documents.
    """
    tokens = queries.float().contiguous()
    if tokens.shape[1] != documents.width:
        raise UsageError(
            f"queries of {tokens.shape[1]} dimensions meet documents of {documents.width}; encode "
            "both by one model"
        )
    shape = (problem.queries.count, problem.columns)
    scores = torch.empty(shape, dtype=torch.float32, device="cpu")
    winners = None
    if argmax:
        winners = torch.full((len(tokens), shape[1]), -1, dtype=torch.int32, device="cpu")
    asked = _texts(problem.queries, len(tokens))
    met = _texts(problem.documents, len(documents.vectors), picked)
    filled = _filled(tokens, documents, problem, asked, met, scores, winners)
    held = tokens, documents, asked, met, scores, winners  # what the addresses point into
    library, instructions = _library(), level()
    assert library is not None

    def score(piece: Piece, _: object = held) -> None:  # a thread may outlive an interrupted call
        _check(library.polyrank_maxsim(byref(filled), *piece, instructions))

    work = (problem.queries.length if problem.own else len(tokens)) * met.rows
    share(pieces(problem, met.ends, len(tokens), parts(work)), score, work)
    if winners is not None and problem.queries.mask is not None:
        winners[~problem.queries.mask] = -1
    return scores, winners


def _filled(
    tokens: Tensor,
    documents: NativeRows,
    problem: Problem,
    asked: _Held,
    met: _Held,
    scores: Tensor,
    winners: Tensor | None,
) -> _Problem:
    """The problem as native.c reads it: addresses, which hold while all of these live."""
    scales, centroids = documents.scales, documents.centroids
    return _Problem(
        width=documents.width,
        tokens=tokens.data_ptr(),
        queries=asked.structure,
        documents=met.structure,
        rows=documents.vectors.data_ptr(),
        stride=documents.vectors.stride(0) * documents.vectors.element_size(),
        row_bytes=documents.vectors.shape[1] * documents.vectors.element_size(),
        kind=documents.kind,
        scales=_address(scales),
        codes=_address(documents.codes),
        centroids=_address(centroids),
        weights=_address(documents.weights),
        bits=documents.bits,
        half_scales=scales is not None and scales.dtype == torch.float16,
        half_centroids=centroids is not None and centroids.dtype == torch.float16,
        centroid_count=0 if centroids is None else len(centroids),
        columns=problem.columns,
        own=problem.own,
        zero_rule=problem.zero_mask,
        scores=scores.data_ptr(),
        winners=_address(winners),
    )


def by_table(table: Tensor, codes: Tensor, offsets: Tensor, picked: Tensor) -> Tensor:
    """MaxSim of one query with some documents, as if every token were its centroid: (N,) fp32.

    Args:
        table: the similarities of centroids with the query's tokens, (K, R) fp32.
        codes: the centroid of each document token, (Td,) int32.
        offsets: int64 (D + 1,). picked: int64 (N,), documents.
    """
    table, codes = table.float().contiguous(), codes.to(torch.int32).contiguous()
    scores = torch.empty(len(picked), dtype=torch.float32, device="cpu")
    met = _texts(Layout(len(offsets) - 1, 0, offsets), len(codes), picked)
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


def _texts(layout: Layout, rows: int, picked: Tensor | None = None) -> _Held:
    """Texts of a matrix of so many rows."""
    offsets, mask = layout.offsets, layout.mask
    if offsets is not None:
        offsets = offsets.to(torch.int64).contiguous()
    first, last = (0, layout.count * layout.length) if offsets is None else _ends(offsets)
    if first < 0 or last > rows:
        raise UsageError(f"texts from row {first} to {last} do not lie within {rows} tokens")
    if mask is not None:
        mask = mask.contiguous()
        if len(mask) != rows or mask.device.type != "cpu":
            raise UsageError(f"a mask of {len(mask)} on {mask.device} is not one of {rows} tokens")
    met = last - first
    if picked is not None:
        picked = picked.to(torch.int64).contiguous()
        lowest, highest = _ends(picked.sort().values)
        if lowest < 0 or highest >= layout.count:
            raise UsageError(f"documents are picked that are not among the {layout.count}")
        lengths = torch.full_like(picked, layout.length)
        if offsets is not None:
            lengths = offsets[picked + 1] - offsets[picked]
        met = int(lengths.sum())
    addresses = _Texts(_address(offsets), layout.length, _address(picked), _address(mask))
    return _Held(addresses, (offsets, picked, mask), met)


def _ends(numbers: Tensor) -> tuple[int, int]:
    return (int(numbers[0]), int(numbers[-1])) if len(numbers) else (0, -1)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
