"""Queries of different lengths as one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from polyrank.kernels.codecs.codec import Queries


def pad(queries: list[Tensor]) -> Queries:
    """Queries (n, d) each, padded to the longest: (Q, L, d) with a mask (Q, L)."""
    from torch.nn.utils.rnn import pad_sequence

    lengths = torch.tensor([len(query) for query in queries])
    vectors = pad_sequence([query.float() for query in queries], batch_first=True)
    place = torch.arange(vectors.shape[1])
    return Queries(vectors, (place[None, :] < lengths[:, None]).to(vectors.device))
