"""How the token vectors of a segment lie on disk, and how each way is scored.

name         bytes a token at d = 128 (+ 4 for a centroid's number where there are centroids)
fp16         256
int8         130
residual-b    16 · b + 2 + 4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.index.multivector.codec import Codec
from polyrank.kernels import maxsim_packed
from polyrank.kernels.codecs.int8 import Int8Documents, encode_int8, maxsim_int8
from polyrank.kernels.codecs.kmeans import nearest
from polyrank.kernels.codecs.residual import BITS, ResidualCodec
from polyrank.kernels.codecs.residual_scoring import (
    ResidualDocuments,
    maxsim_residual,
    pack_documents,
)
from polyrank.kernels.cpu import stored
from polyrank.kernels.cpu.stored import Stored

Arrays = Mapping[str, Tensor]  # each with a row per token


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries of one search, (Q, L, d) fp32 with a mask (Q, L), True for a token."""

    vectors: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Queries:
        return Queries(self.vectors.to(device), self.mask.to(device))


@dataclass(frozen=True)
class Storage:
    """One way to store token vectors.

    Attributes:
        arrays: names of the files.
        encode: (T, d) fp16 vectors and the codec → arrays.
        score: queries, arrays, document offsets (D + 1,), codec → (Q, D) fp32.
        rows: arrays, codec → what the compiled kernel reads in their place.
        decode: arrays, codec → (T, d) fp32.
        bits: of a residual code.
    """

    name: str
    arrays: tuple[str, ...]
    encode: Callable[[Tensor, Codec], dict[str, Tensor]]
    score: Callable[[Queries, Arrays, Tensor, Codec], Tensor]
    rows: Callable[[Arrays, Codec], Stored]
    decode: Callable[[Arrays, Codec], Tensor]
    bits: int | None = None


def pad(queries: list[Tensor]) -> Queries:
    """Queries (n, d) of different lengths as one batch."""
    from torch.nn.utils.rnn import pad_sequence

    lengths = torch.tensor([len(query) for query in queries])
    vectors = pad_sequence([query.float() for query in queries], batch_first=True)
    place = torch.arange(vectors.shape[1])
    return Queries(vectors, (place[None, :] < lengths[:, None]).to(vectors.device))


def centroid_numbers(vectors: Tensor, codec: Codec) -> Tensor:
    """The nearest centroid of each vector, (T,) int32."""
    assert codec.centroids is not None
    return nearest(vectors, codec.centroids)[0].int()


def _encode_fp16(vectors: Tensor, codec: Codec) -> dict[str, Tensor]:
    return {"vectors": vectors, **_numbers(vectors, codec)}


def _score_fp16(queries: Queries, arrays: Arrays, offsets: Tensor, codec: Codec) -> Tensor:
    count, length, width = queries.vectors.shape
    return maxsim_packed(
        queries.vectors.reshape(-1, width),
        torch.arange(count + 1, device=offsets.device) * length,
        arrays["vectors"],
        offsets,
        queries.mask.reshape(-1),
    )


def _encode_int8(vectors: Tensor, codec: Codec) -> dict[str, Tensor]:
    packed = encode_int8(vectors, torch.tensor([0, len(vectors)]), torch.float16)
    return {"values": packed.values, "scales": packed.scales, **_numbers(vectors, codec)}


def _score_int8(queries: Queries, arrays: Arrays, offsets: Tensor, codec: Codec) -> Tensor:
    documents = Int8Documents(arrays["values"], arrays["scales"], offsets)
    return maxsim_int8(queries.vectors, documents, queries.mask)


def _numbers(vectors: Tensor, codec: Codec) -> dict[str, Tensor]:
    return {} if codec.centroids is None else {"codes": centroid_numbers(vectors, codec)}


def _residual(codec: Codec) -> ResidualCodec:
    assert codec.residual is not None
    return codec.residual


def _encode_residual(vectors: Tensor, codec: Codec) -> dict[str, Tensor]:
    codes, residuals = _residual(codec).encode(vectors)
    whole = torch.tensor([0, len(vectors)])
    norms = pack_documents(_residual(codec), codes, residuals, whole, torch.float16).inverse_norms
    return {"codes": codes, "residuals": residuals, "norms": norms}


def _score_residual(queries: Queries, arrays: Arrays, offsets: Tensor, codec: Codec) -> Tensor:
    documents = ResidualDocuments(
        _residual(codec).to(offsets.device),
        arrays["codes"],
        arrays["residuals"],
        arrays["norms"],
        offsets,
    )
    return maxsim_residual(queries.vectors, documents, queries.mask)


def _residual_storage(bits: int) -> Storage:
    return Storage(
        f"residual-{bits}",
        ("codes", "residuals", "norms"),
        _encode_residual,
        _score_residual,
        lambda arrays, codec: stored.residuals(
            arrays["residuals"], arrays["codes"], arrays["norms"], *_residual(codec).tables()
        ),
        lambda arrays, codec: _residual(codec).decode(arrays["codes"], arrays["residuals"]),
        bits,
    )


STORAGES: Mapping[str, Storage] = {
    storage.name: storage
    for storage in (
        Storage(
            "fp16",
            ("vectors",),
            _encode_fp16,
            _score_fp16,
            lambda a, codec: stored.vectors(a["vectors"]),
            lambda a, codec: a["vectors"].float(),
        ),
        Storage(
            "int8",
            ("values", "scales"),
            _encode_int8,
            _score_int8,
            lambda a, codec: stored.int8(a["values"], a["scales"]),
            lambda a, codec: a["values"].float() * a["scales"].float()[:, None],
        ),
        *map(_residual_storage, BITS),
    )
}


def storage_of(name: str) -> Storage:
    """A storage by its name.

    Raises:
        UsageError: none of that name.
    """
    if name not in STORAGES:
        raise UsageError(f"there is no codec '{name}'; use one of {', '.join(STORAGES)}")
    return STORAGES[name]
