"""Sums of masks, with those used lately kept: a composition's masks are read and added once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

import torch

from polyrank.modules.mask.sparse import Differences, SparseDifference, added

K = TypeVar("K", bound=Hashable)
GIGABYTE = 1 << 30


class Recent(Generic[K]):
    """Differences by key; when they exceed `keep_bytes`, those not used for longest go.

    The last one asked for is kept whatever its size. Not for several threads at once.
    """

    def __init__(self, keep_bytes: int) -> None:
        self.keep_bytes, self.held_bytes = keep_bytes, 0
        self._kept: OrderedDict[K, Differences] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def get(self, key: K, make: Callable[[], Differences]) -> Differences:
        """What is kept under the key, or else what `make` gives."""
        if key not in self._kept:
            self._kept[key] = make()
            self.held_bytes += nbytes(self._kept[key])
        self._kept.move_to_end(key)
        while self.held_bytes > self.keep_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.held_bytes -= nbytes(oldest)
        return self._kept[key]


class MaskSums(Generic[K]):
    """The differences of masks that are added together.

    They are added on the CPU, in the order of their names, so that a sum is the same to the bit
    wherever it is used, and then moved.

    Args:
        load: reads a mask by its name.
        device: where the sums are wanted.
        keep_bytes: of sums, and again of single masks.
    """

    def __init__(
        self,
        load: Callable[[K], Differences],
        device: torch.device | str = "cpu",
        keep_bytes: int = GIGABYTE,
    ) -> None:
        self._load, self._device = load, device
        self.masks: Recent[K] = Recent(keep_bytes)
        self.sums: Recent[tuple[K, ...]] = Recent(keep_bytes)

    def __call__(self, names: tuple[K, ...]) -> Differences:
        return self.sums.get(names, partial(self._sum, names))

    def _sum(self, names: tuple[K, ...]) -> Differences:
        parts = [self.masks.get(name, partial(self._load, name)) for name in names]
        return {
            name: SparseDifference(d.shape, d.indices.to(self._device), d.values.to(self._device))
            for name, d in added(parts).items()
        }


def nbytes(differences: Differences) -> int:
    """What their tensors take."""
    return sum(d.indices.nbytes + d.values.nbytes for d in differences.values())
