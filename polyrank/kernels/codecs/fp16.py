"""Token vectors as they come from the model, rounded to fp16: 2 · d bytes a token, exact search."""

from __future__ import annotations

from torch import Tensor

from polyrank.kernels.codecs.codec import Arrays, Codebook, Codec, Queries, packed_scores
from polyrank.kernels.cpu import native_rows


def _score(queries: Queries, arrays: Arrays, offsets: Tensor, codebook: Codebook) -> Tensor:
    return packed_scores(queries, arrays["vectors"], offsets)


FP16 = Codec(
    "fp16",
    arrays=("vectors",),
    token_bytes=lambda width: 2 * width,
    encode=lambda vectors, codebook: {"vectors": vectors},
    decode=lambda arrays, codebook: arrays["vectors"].float(),
    score=_score,
    native_rows=lambda arrays, codebook: native_rows.vectors(arrays["vectors"]),
    exact=True,
)
