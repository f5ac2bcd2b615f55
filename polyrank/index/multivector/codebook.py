"""The codebook of an index, for pruning and for residual codes: learnt once, when it is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from polyrank.index.multivector import durable_files as files
from polyrank.index.multivector.durable_files import File
from polyrank.kernels.codecs.codec import Codebook, Codec
from polyrank.kernels.codecs.kmeans import default_clusters, nearest

SAMPLE = 1 << 19  # token vectors that centroids are learnt from, at most: 256 MB at 128 dimensions
PER_CENTROID = 32  # token vectors that are enough for one centroid


def clusters(tokens: int, asked: int | None) -> int:
    """How many centroids so many tokens get: as asked, else by ColBERTv2's rule; 0 for none."""
    held_out = min(max(1, tokens // 20), 50_000)  # by `fit_codec`
    wanted = default_clusters(tokens) if asked is None else asked
    return max(min(wanted, tokens - held_out), 0)


def sample_size(tokens: int, centroids: int) -> int:
    """How many of the tokens to learn them from."""
    return min(tokens, SAMPLE, max(PER_CENTROID * centroids, 1 << 14))


def centroid_numbers(vectors: Tensor, codebook: Codebook) -> Tensor:
    """The nearest centroid of each vector, (T,) int32."""
    assert codebook.centroids is not None
    return nearest(vectors, codebook.centroids)[0].int()


def encode_tokens(vectors: Tensor, codec: Codec, codebook: Codebook) -> dict[str, Tensor]:
    """What a segment stores of vectors (T, d) fp16; with centroids each token's, as `codes`."""
    arrays = codec.encode(vectors, codebook)
    if codebook.centroids is not None and "codes" not in arrays:
        arrays["codes"] = centroid_numbers(vectors, codebook)
    return arrays


def write_codebook(arrays: Mapping[str, Tensor], folder: Path) -> None:
    """Write the arrays into a folder."""
    for name, tensor in arrays.items():
        files.write_array(folder / f"{name}.npy", tensor.cpu().numpy())


def read_codebook(folder: Path, listed: Mapping[str, File], codec: Codec) -> Codebook:
    """Read the arrays that the manifest lists."""
    arrays = {
        name.removesuffix(".npy"): torch.from_numpy(files.read_array(folder / name))
        for name in listed
    }
    return codec.codebook(arrays)
