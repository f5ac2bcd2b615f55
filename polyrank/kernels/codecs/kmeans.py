"""Spherical k-means for the centroids of the residual codec (Dhillon and Modha 2001).

A vector belongs to the centroid with the largest dot product, which is the rule by which ColBERT
and fast-plaid assign codes; a centroid is the normalised sum of its vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.cpu import native, native_rows
from polyrank.kernels.cpu.product import product, workspace
from polyrank.kernels.cpu.scan import BLOCK, SHARED
from polyrank.kernels.cpu.threads import each, one_thread

CHUNK = 1 << 26  # similarities held at once on a GPU: 256 MiB


@dataclass(frozen=True, eq=False)
class Clusters:
    """What k-means found.

    Attributes:
        centroids: (K, d), fp32, of length 1.
        sizes: (K,), int64, the vectors that belong to each centroid.
        refilled: how many times an empty cluster was given a new vector, over all iterations.
    """

    centroids: Tensor
    sizes: Tensor
    refilled: int

    @property
    def empty(self) -> int:
        """Clusters left without a vector: more than 0 where vectors repeat themselves."""
        return int((self.sizes == 0).sum())


def default_clusters(tokens: int) -> int:
    """Centroids for a collection of so many tokens: 2^⌊log2(16 √tokens)⌋, as in ColBERTv2.

    At most one per token.
    """
    return min(tokens, 2 ** int(log2(16 * sqrt(tokens)))) if tokens else 0


def nearest(vectors: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """The centroid of each vector, in chunks; ties go to the lowest centroid.

    Args:
        vectors: (N, d).
        centroids: (K, d).

    Returns:
        (N,) int64 codes, and (N,) the dot products with them, fp32.
    """
    with one_thread():
        centroids = centroids.float().contiguous()
    if native.takes(vectors, centroids):  # each vector a query, the centroids one document's tokens
        problem = Problem(Layout(len(vectors), 1), Layout(1, len(centroids)), columns=1)
        scores, winners = native.forward(vectors, native_rows.vectors(centroids), problem, True)
        assert winners is not None
        return winners[:, 0].long(), scores[:, 0]
    device = vectors.device
    multiply = product(device, torch.float32)
    codes = torch.empty(len(vectors), dtype=torch.int64, device=device)
    closeness = torch.empty(len(vectors), dtype=torch.float32, device=device)
    step = max(1, (BLOCK if device.type == "cpu" else CHUNK) // len(centroids))

    def worker() -> Callable[[int], None]:
        room = workspace("product", device, torch.float32)

        def assign(start: int) -> None:
            part = slice(start, start + step)
            best = multiply(vectors[part].float(), centroids, room).max(dim=1)
            closeness[part], codes[part] = best

        return assign

    starts = range(0, len(vectors), step)
    together = device.type == "cpu" and len(vectors) * len(centroids) >= SHARED
    each(starts, worker, min(torch.get_num_threads(), len(starts)) if together else 1)
    return codes, closeness


@torch.no_grad()
def kmeans(vectors: Tensor, clusters: int, iterations: int = 4, seed: int = 0) -> Clusters:
    """Cluster vectors by direction; the same vectors, device and seed give the same bits.

    It starts from `clusters` of the vectors, drawn at random. A cluster that ends an iteration
    empty is given the vector that its own centroid represents worst, so that no centroid is wasted.

    Args:
        vectors: (N, d), finite; token vectors are normalised already, others count by direction
            weighted by length.
        clusters: K, at most N.
        iterations: ColBERT uses 4 on large collections, 20 on small ones.

    Raises:
        UsageError: fewer vectors than clusters, no iteration, or vectors that are not finite.
    """
    if not 1 <= clusters <= len(vectors) or iterations < 1:
        raise UsageError(
            f"k-means cannot make {clusters} clusters of {len(vectors)} vectors in {iterations} "
            "iterations.\nAsk for at least 1 and at most as many clusters as there are vectors."
        )
    if not vectors.isfinite().all():
        raise UsageError("some vectors are not finite, so they cannot be clustered; drop them")
    draw = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
    centroids = F.normalize(vectors[draw[:clusters].to(vectors.device)].float(), dim=1)
    refilled = 0
    for _ in range(iterations):
        codes, closeness = nearest(vectors, centroids)
        sums = _sums(vectors, codes, clusters)
        empty = (torch.bincount(codes, minlength=clusters) == 0).nonzero().squeeze(1)
        # A vector equal to its centroid is represented already: it would only make a twin.
        worst = closeness.argsort(stable=True)[: len(empty)]
        worst = worst[closeness[worst] < vectors[worst].float().norm(dim=1) * (1 - 1e-6)]
        sums[empty[: len(worst)]] = vectors[worst].float()
        refilled += len(worst)
        kept = sums.norm(dim=1, keepdim=True) > 0  # an empty cluster keeps its centroid
        centroids = torch.where(kept, F.normalize(sums, dim=1), centroids)
    sizes = torch.bincount(nearest(vectors, centroids)[0], minlength=clusters)
    return Clusters(centroids, sizes, refilled)


def _sums(vectors: Tensor, codes: Tensor, clusters: int) -> Tensor:
    """(K, d) fp32. Each device's own deterministic way: the other's uses atomics."""
    sums = torch.zeros(clusters, vectors.shape[1], device=vectors.device)
    if vectors.is_cuda:
        return sums.index_put_((codes,), vectors.float(), accumulate=True)
    return sums.index_add_(0, codes, vectors.float())
