"""Token vectors of documents that were encoded lately: candidates of one query are often those of
the next, too."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from torch import Tensor

K = TypeVar("K", bound=Hashable)


class KeptVectors:
    """Vectors by key, those used last, of at most so many bytes.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._held: OrderedDict[Hashable, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(
        self, keys: Sequence[K], encode: Callable[[list[K]], Sequence[Tensor]]
    ) -> dict[K, Tensor]:
        """The vectors of every key; those that are not held are encoded together.

        Args:
            keys: each once.
        """
        absent = [key for key in keys if key not in self._held]
        found = dict(zip(absent, encode(absent), strict=True)) if absent else {}
        found |= {key: self._held[key] for key in keys if key in self._held}
        for key in keys if self.limit else ():
            self._hold(key, found[key])
        return found

    def _hold(self, key: Hashable, vectors: Tensor) -> None:
        if key not in self._held:
            self.bytes += vectors.nbytes
        self._held[key] = vectors
        self._held.move_to_end(key)
        while self.bytes > self.limit:
            _, oldest = self._held.popitem(last=False)
            self.bytes -= oldest.nbytes
