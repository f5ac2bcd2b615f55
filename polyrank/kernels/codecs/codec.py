"""What a codec of token vectors is: how they are stored, and how what is stored is scored.

A new codec is a file that defines a `Codec`, and its row in `CODECS` (`__init__.py`). It has to
encode and decode; without a `score` of its own it is scored by decoding blocks of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyrank.kernels.autograd import maxsim_packed
from polyrank.kernels.codecs.kmeans import kmeans
from polyrank.kernels.cpu.native_rows import NativeRows

DECODED = 1 << 16  # tokens that are decoded at once, where scoring decodes: 32 MB at d = 128

Arrays = Mapping[str, Tensor]  # what a codec stores: each array has a row per token


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries of one search, (Q, L, d) fp32 with a mask (Q, L), True for a token."""

    vectors: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Queries:
        return Queries(self.vectors.to(device), self.mask.to(device))


@dataclass(frozen=True, eq=False)
class Codebook:
    """What was learnt from a sample of the vectors, once, when an index was built.

    Attributes:
        arrays: by name, as they are written: `centroids` (K, d) fp16 where there are some, for
            pruning, and whatever else a codec learns.
        prepared: what the codec made of the arrays, for its own use.
    """

    arrays: Mapping[str, Tensor]
    prepared: Any = None

    @property
    def centroids(self) -> Tensor | None:
        """(K, d); None for an index that is only searched exactly."""
        return self.arrays.get("centroids")

    @property
    def count(self) -> int:
        """How many centroids; 0 for none."""
        return 0 if self.centroids is None else len(self.centroids)


def fit_centroids(sample: Tensor, centroids: int, seed: int) -> dict[str, Tensor]:
    """Centroids alone: what a codec learns that needs none itself."""
    if not centroids:
        return {}
    return {"centroids": kmeans(sample, centroids, seed=seed).centroids.half()}


@dataclass(frozen=True, eq=False)
class Codec:
    """One way to store token vectors.

    Attributes:
        name: of the row, and of `polyrank index build --codec`.
        arrays: names of what is stored, a file each in a segment.
        token_bytes: bytes of a token of d dimensions, without the number of its centroid where
            that is stored for pruning alone.
        encode: (T, d) fp16 vectors, codebook → arrays.
        decode: arrays, codebook → (T, d) fp32.
        score: queries, arrays, document offsets (D + 1,), codebook → (Q, D) fp32, on the arrays'
            device; None to decode and multiply.
        native_rows: arrays, codebook → what the compiled CPU kernel reads in place; None where
            native.c has no such rows.
        fit: a sample (N, d) fp32, how many centroids, seed → the codebook's arrays.
        prepare: the codebook's arrays → what is kept of them while an index is open.
        needs_centroids: whether vectors are stored relative to centroids.
        exact: whether decoding gives back the vectors as they were.
    """

    name: str
    arrays: tuple[str, ...]
    token_bytes: Callable[[int], int]
    encode: Callable[[Tensor, Codebook], dict[str, Tensor]]
    decode: Callable[[Arrays, Codebook], Tensor]
    score: Callable[[Queries, Arrays, Tensor, Codebook], Tensor] | None = None
    native_rows: Callable[[Arrays, Codebook], NativeRows] | None = None
    fit: Callable[[Tensor, int, int], dict[str, Tensor]] = fit_centroids
    prepare: Callable[[Mapping[str, Tensor]], Any] = lambda arrays: None
    needs_centroids: bool = False
    exact: bool = False

    def codebook(self, arrays: Mapping[str, Tensor]) -> Codebook:
        """A codebook of these arrays."""
        return Codebook(arrays, self.prepare(arrays))

    def scores(
        self, queries: Queries, arrays: Arrays, offsets: Tensor, codebook: Codebook
    ) -> Tensor:
        """MaxSim of queries with packed documents: (Q, D), fp32; -inf for an empty document.

        Args:
            offsets: document i is rows offsets[i] to offsets[i + 1], int64 (D + 1,), from 0.
        """
        if self.score is not None:
            return self.score(queries, arrays, offsets, codebook)
        return self._by_decoding(queries, arrays, offsets, codebook)

    def _by_decoding(
        self, queries: Queries, arrays: Arrays, offsets: Tensor, codebook: Codebook
    ) -> Tensor:
        parts = []
        for documents, rows in _blocks(offsets):
            block = {name: array[rows] for name, array in arrays.items()}
            ends = offsets[documents] - offsets[documents.start]
            parts.append(packed_scores(queries, self.decode(block, codebook), ends))
        if not parts:
            return queries.vectors.new_empty(len(queries.vectors), 0)
        return torch.cat(parts, dim=1)


def packed_scores(queries: Queries, vectors: Tensor, offsets: Tensor) -> Tensor:
    """MaxSim of queries with vectors (T, d) of any floating-point type: (Q, D), fp32."""
    count, length, width = queries.vectors.shape
    return maxsim_packed(
        queries.vectors.reshape(-1, width),
        torch.arange(count + 1, device=offsets.device) * length,
        vectors,
        offsets,
        queries.mask.reshape(-1),
    )


def _blocks(offsets: Tensor) -> Iterator[tuple[slice, slice]]:
    """(offsets, rows) of runs of documents of about DECODED tokens, at least one document."""
    ends = offsets.tolist()
    first = 0
    while first < len(ends) - 1:
        last = first + 1
        while last < len(ends) - 1 and ends[last + 1] - ends[first] <= DECODED:
            last += 1
        yield slice(first, last + 1), slice(ends[first], ends[last])
        first = last
