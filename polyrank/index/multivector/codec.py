"""Centroids of an index, for pruning and for residual codes: learnt once, when it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from polyrank.index.multivector import files
from polyrank.index.multivector.files import File
from polyrank.kernels.codecs.kmeans import default_clusters, kmeans
from polyrank.kernels.codecs.residual import ResidualCodec, fit_codec

SAMPLE = 1 << 19  # token vectors that centroids are learnt from, at most: 256 MB at 128 dimensions
PER_CENTROID = 32  # token vectors that are enough for one centroid


@dataclass(frozen=True, eq=False)
class Codec:
    """What segments need to be written and read.

    Attributes:
        centroids: (K, d) fp16; None for an index that is only searched exactly.
        residual: with residual codes, their buckets; its centroids are the same.
    """

    centroids: Tensor | None = None
    residual: ResidualCodec | None = None


def clusters(tokens: int, asked: int | None) -> int:
    """How many centroids so many tokens get: as asked, else by ColBERTv2's rule; 0 for none."""
    held_out = min(max(1, tokens // 20), 50_000)  # by `fit_codec`
    wanted = default_clusters(tokens) if asked is None else asked
    return max(min(wanted, tokens - held_out), 0)


def sample_size(tokens: int, centroids: int) -> int:
    """How many of the tokens to learn them from."""
    return min(tokens, SAMPLE, max(PER_CENTROID * centroids, 1 << 14))


def learn(sample: Tensor, bits: int | None, centroids: int, seed: int) -> Codec:
    """Centroids, and for residual codes buckets, from a sample of token vectors (N, d), fp32."""
    if bits is not None:
        residual = fit_codec(sample, bits, centroids, seed=seed)
        return Codec(residual.centroids, residual)
    if not centroids:
        return Codec()
    return Codec(kmeans(sample, centroids, seed=seed).centroids.half())


def save_codec(codec: Codec, folder: Path) -> dict[str, File]:
    """Write the arrays into a folder."""
    parts = {"centroids": codec.centroids}
    if codec.residual is not None:
        parts |= {"cutoffs": codec.residual.cutoffs, "weights": codec.residual.weights}
    return {
        f"{name}.npy": files.write_array(folder / f"{name}.npy", tensor.cpu().numpy())
        for name, tensor in parts.items()
        if tensor is not None
    }


def load_codec(folder: Path, listed: Mapping[str, File]) -> Codec:
    """Read the arrays that the manifest lists."""
    parts = {
        name.removesuffix(".npy"): torch.from_numpy(files.read_array(folder / name))
        for name in listed
    }
    if "weights" in parts:
        residual = ResidualCodec(parts["centroids"], parts["cutoffs"], parts["weights"])
        return Codec(residual.centroids, residual)
    return Codec(parts.get("centroids"))
