"""The residual codec of ColBERTv2 (Santhanam et al. 2022, arXiv 2112.01488, section 3.3).

A token vector is stored as the number of its nearest centroid and, per dimension, the bucket of
what is left over, in 1, 2, 4 or 8 bits. `decode` gives back normalise(centroid + bucket weight).

The bytes are those of ColBERT 0.2 (`colbert/indexing/codecs/residual.py`: `binarize`) and of
fast-plaid (`rust/index/create.rs`: `packbits`): each value's bits, least significant first, are
written into bytes from the most significant bit down. Value 1 of 2 bits is therefore `10`, and the
four values 1, 0, 3, 2 are the byte 0b10_00_11_01.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels.codecs.kmeans import default_clusters, kmeans, nearest

BITS = (1, 2, 4, 8)
CHUNK = 1 << 16  # tokens worked on at once
# Bits -> a number as wide as what a byte stands for, 8 / bits floats, or as half of it.
_AS_WIDE = {1: torch.complex128, 2: torch.complex128, 4: torch.float64, 8: torch.float32}


@dataclass(frozen=True, eq=False)
class ResidualCodec:
    """Centroids and buckets.

    Attributes:
        centroids: (K, d), of length 1; ColBERT and fast-plaid keep them in fp16.
        cutoffs: (2^bits - 1,), fp32, ascending; a value equal to a cutoff is in the bucket below.
        weights: (2^bits,), fp32, what each bucket decodes to.
    """

    centroids: Tensor
    cutoffs: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        if len(self.weights) not in [2**bits for bits in BITS]:
            raise UsageError(f"the codec has {len(self.weights)} buckets, not 2, 4, 16 or 256")
        if len(self.cutoffs) != len(self.weights) - 1:
            raise UsageError(
                f"the codec has {len(self.weights)} weights and {len(self.cutoffs)} cutoffs; "
                "there must be one cutoff less than weights"
            )
        if self.width * self.bits % 8:
            raise UsageError(
                f"{self.width} dimensions of {self.bits} bits do not fill whole bytes; "
                "use more bits or another width"
            )

    @property
    def bits(self) -> int:
        return len(self.weights).bit_length() - 1

    @property
    def width(self) -> int:
        return self.centroids.shape[1]

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's residual; its code takes 4 more."""
        return self.width * self.bits // 8

    def to(self, device: torch.device | str) -> ResidualCodec:
        return replace(
            self,
            centroids=self.centroids.to(device),
            cutoffs=self.cutoffs.to(device),
            weights=self.weights.to(device),
        )

    @torch.no_grad()
    def encode(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Compress token vectors.

        The nearest centroid is found in fp32; the residual is taken in the centroids' dtype, as
        the other systems do, so that fp16 centroids give their bytes.

        Args:
            vectors: (T, d), normalised.

        Returns:
            codes (T,) int32 and residuals (T, d · bits / 8) uint8.

        Raises:
            UsageError: vectors of another width.
        """
        if vectors.shape[1] != self.width:
            raise UsageError(
                f"the vectors have {vectors.shape[1]} dimensions, the codec has {self.width}; "
                "use the model that the codec was fitted for"
            )
        codes = torch.empty(len(vectors), dtype=torch.int32, device=vectors.device)
        residuals = vectors.new_empty(len(vectors), self.token_bytes, dtype=torch.uint8)
        for part in _chunks(len(vectors)):
            found, _ = nearest(vectors[part], self.centroids)
            rest = vectors[part].to(self.centroids.dtype) - self.centroids[found]
            codes[part] = found.int()
            residuals[part] = pack(torch.bucketize(rest.float(), self.cutoffs), self.bits)
        return codes, residuals

    @torch.no_grad()
    def decode(self, codes: Tensor, residuals: Tensor) -> Tensor:
        """Restore token vectors: (T,), (T, d · bits / 8) → (T, d), fp32, of length 1."""
        vectors = torch.empty(len(codes), self.width, device=codes.device)
        for part in _chunks(len(codes)):
            vectors[part] = F.normalize(self._sum(codes[part], residuals[part]), dim=1)
        return vectors

    @torch.no_grad()
    def inverse_norms(self, codes: Tensor, residuals: Tensor) -> Tensor:
        """1 / |centroid + residual| of each token, (T,) fp32: what scoring needs to be exact."""
        norms = torch.empty(len(codes), device=codes.device)
        for part in _chunks(len(codes)):
            norms[part] = self._sum(codes[part], residuals[part]).norm(dim=1)
        return 1.0 / norms.clamp_min(1e-12)

    def _sum(self, codes: Tensor, residuals: Tensor) -> Tensor:
        return self.centroids[codes.long()].float() + self.unpack_weights(residuals)

    def unpack_weights(self, residuals: Tensor) -> Tensor:
        """The bucket weights that bytes stand for: (T, d · bits / 8) → (T, d) fp32."""
        weights = torch.empty(len(residuals), self.width, device=residuals.device)
        return self.decoder()(residuals, weights)

    def tables(self) -> tuple[Tensor, Tensor]:
        """The centroids, and what the bits of one dimension stand for, read as a number: (2^bits,)
        fp32."""
        return self.centroids, self.bit_weights

    @cached_property
    def bit_weights(self) -> Tensor:
        return self.weights.float()[reversed_bits(self.bits, self.weights.device)]

    def decoder(self) -> Callable[[Tensor, Tensor], Tensor]:
        """What writes the bucket weights of bytes (T, d · bits / 8) into a contiguous fp32 (T, d).

        What a byte stands for is moved as one wide number (two for 1 bit), not as a row of some:
        5 times as fast on a CPU.
        """
        table = self.weights.float()[_values(self.bits, self.weights.device)]  # (256, 8 / bits)
        kind = _AS_WIDE[self.bits]
        wide = table.view(kind).flatten()
        parts = torch.arange(len(wide) // 256, device=wide.device, dtype=torch.int32)

        def write(residuals: Tensor, weights: Tensor) -> Tensor:
            index = residuals.int()
            if len(parts) > 1:
                index = index[..., None] * len(parts) + parts
            torch.index_select(wide, 0, index.flatten(), out=weights.view(kind).flatten())
            return weights

        return write


def _chunks(tokens: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, tokens, CHUNK)]


@torch.no_grad()
def fit_codec(
    vectors: Tensor,
    bits: int = 4,
    clusters: int | None = None,
    iterations: int = 4,
    seed: int = 0,
    dtype: torch.dtype = torch.float16,
) -> ResidualCodec:
    """Learn centroids and buckets from a sample of token vectors.

    As in ColBERT: 5 % of the sample, at most 50,000 vectors, are held out from k-means; with
    n = 2^bits, the cutoffs are the quantiles 1/n … (n-1)/n of all their residuals and the weights
    those at (i + ½)/n.

    Args:
        vectors: (N, d), normalised.
        bits: 1, 2, 4 or 8 per dimension.
        clusters: by default what suits a collection of N tokens (`default_clusters`).
        dtype: of the centroids; ColBERT and fast-plaid use fp16.

    Raises:
        UsageError: fewer than 2 vectors, other bits, or fewer vectors than clusters.
    """
    if bits not in BITS or len(vectors) < 2:
        raise UsageError(
            f"cannot fit a codec of {bits} bits on {len(vectors)} vectors; "
            "use 1, 2, 4 or 8 bits and a sample of thousands"
        )
    held_out = min(max(1, len(vectors) // 20), 50_000)
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))
    order = order.to(vectors.device)
    sample, rest = vectors[order[held_out:]], vectors[order[:held_out]]
    clusters = default_clusters(len(sample)) if clusters is None else clusters
    centroids = kmeans(sample, clusters, iterations, seed).centroids.to(dtype)
    residuals = rest.to(dtype) - centroids[nearest(rest, centroids)[0]]
    steps = torch.arange(2**bits, device=vectors.device, dtype=torch.float64) / 2**bits
    return ResidualCodec(
        centroids,
        cutoffs=_quantiles(residuals, steps[1:]),
        weights=_quantiles(residuals, steps + 0.5 / 2**bits),
    )


def _quantiles(values: Tensor, at: Tensor) -> Tensor:
    """Linearly interpolated, fp32. `torch.quantile` takes at most 2^24 values."""
    ordered = values.float().flatten().sort().values
    place = at * (len(ordered) - 1)
    below = place.long()
    above = (below + 1).clamp_max(len(ordered) - 1)
    return torch.lerp(ordered[below].double(), ordered[above].double(), place - below).float()


# --- bytes ---------------------------------------------------------------------------------------


def pack(values: Tensor, bits: int) -> Tensor:
    """Write bucket numbers as bytes: (T, d) of integers below 2^bits → (T, d · bits / 8) uint8."""
    per_byte = 8 // bits
    slots = reversed_bits(bits, values.device)[values.long()].unflatten(1, (-1, per_byte))
    shifts = bits * torch.arange(per_byte - 1, -1, -1, device=values.device)
    return (slots << shifts).sum(dim=2).to(torch.uint8)  # the slots share no bit: a sum is an or


def unpack(packed: Tensor, bits: int) -> Tensor:
    """The inverse of `pack`: (T, d · bits / 8) uint8 → (T, d) uint8."""
    return _values(bits, packed.device)[packed.long()].flatten(1).to(torch.uint8)


def _values(bits: int, device: torch.device) -> Tensor:
    """The values in every byte, first dimension first: (256, 8 / bits) int64."""
    shifts = bits * torch.arange(8 // bits - 1, -1, -1, device=device)
    slots = (torch.arange(256, device=device)[:, None] >> shifts) & (2**bits - 1)
    return reversed_bits(bits, device)[slots]


def reversed_bits(bits: int, device: torch.device) -> Tensor:
    """Each number below 2^bits with its bits in reverse order: (2^bits,) int64."""
    numbers = torch.arange(2**bits, device=device)
    places = torch.arange(bits, device=device)
    return (((numbers[:, None] >> places) & 1) << (bits - 1 - places)).sum(dim=1)
