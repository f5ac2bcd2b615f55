"""Lines that nearly equal an earlier one, by MinHash and locality-sensitive hashing."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

HASHES = 128  # of a signature; the standard error of a similarity s is √(s(1 − s)/128), .035 at .8
FOUND = 0.99  # of the lines as similar as asked, at least so many share a band
SEED = 13


class Near(NamedTuple):
    """The number of an earlier line, and its estimated Jaccard similarity."""

    number: int
    similarity: float


def bands(similarity: float) -> int:
    """The fewest bands b of 128/b hashes each that find a line of that similarity.

    Two lines share one of b bands of r hashes with probability 1 − (1 − sʳ)ᵇ (Leskovec et al.,
    Mining of Massive Datasets, §3.4.2).

    >>> bands(0.8)
    32
    """
    for number in (1, 2, 4, 8, 16, 32, 64):
        if 1 - (1 - similarity ** (HASHES // number)) ** number >= FOUND:
            return number
    return HASHES


class NearDuplicates:
    """Compares each line with the earlier ones that were themselves near none.

    Similarity is Jaccard's, of the sets of shingles, estimated by MinHash (Broder 1997). Only
    signatures are held, about 3 KB a line, no text.
    """

    def __init__(self, similarity: float) -> None:
        from rensa import RMinHashLSH

        self.similarity = similarity
        self._index = RMinHashLSH(similarity, HASHES, bands(similarity))
        self._signatures: list[Any] = []
        self._numbers = array("Q")

    def check(self, numbers: Sequence[int], shingles: Sequence[list[str]]) -> list[Near | None]:
        """For each line the earlier line most like it, None where none is similar enough.

        Args:
            numbers: of the lines, ascending, also from call to call.
            shingles: of each line, all different; a line without any is like no other.
        """
        from rensa import RMinHash

        signatures = RMinHash.from_token_sets(list(shingles), num_perm=HASHES, seed=SEED)
        return [
            self._compare(number, signature) if some else None
            for number, signature, some in zip(numbers, signatures, shingles, strict=True)
        ]

    def _compare(self, number: int, signature: Any) -> Near | None:
        nearest = max(
            (
                (signature.jaccard(self._signatures[key]), -key)
                for key in self._index.query(signature)
            ),
            default=(0.0, 0),
        )
        if nearest[0] >= self.similarity:
            return Near(self._numbers[-nearest[1]], nearest[0])
        self._index.insert(len(self._signatures), signature)
        self._signatures.append(signature)
        self._numbers.append(number)
        return None
