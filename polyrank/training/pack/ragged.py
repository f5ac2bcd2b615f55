"""Many token sequences in one array, small on disk and fast to batch on a GPU."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]


class Ragged:
    """N sequences of ids, one after the other.

    Attributes:
        flat: (T,) int64, on any device.
        starts: (N + 1,) int64, on the CPU; sequence i is flat[starts[i]:starts[i + 1]].
    """

    def __init__(self, flat: Tensor, starts: Tensor) -> None:
        self.flat, self.starts = flat, starts
        self._starts_there = starts.to(flat.device)

    @classmethod
    def of(cls, rows: Iterable[Sequence[int] | np.ndarray]) -> Ragged:
        rows = list(rows)
        lengths = torch.tensor([0, *map(len, rows)])
        flat = np.concatenate([np.asarray(row, np.int64) for row in rows] or [np.zeros(0, "i8")])
        return cls(torch.from_numpy(flat), lengths.cumsum(0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def to(self, device: torch.device | str) -> Ragged:
        return Ragged(self.flat.to(device), self.starts)

    def lengths(self) -> Tensor:
        """(N,) on the CPU."""
        return self.starts[1:] - self.starts[:-1]

    def row(self, index: int) -> Tensor:
        return self.flat[self.starts[index] : self.starts[index + 1]]

    def rows(self, index: Tensor, limit: int, width: int | None = None) -> tuple[Tensor, Tensor]:
        """Some sequences side by side.

        Args:
            index: (B,) on the CPU.
            limit: longer sequences are cut to so many ids.
            width: of the result; by default that of the longest.

        Returns:
            ids (B, L), zero where there is none, and which are real (B, L), on the data's device.
        """
        lengths = (self.starts[index + 1] - self.starts[index]).clamp(max=limit)  # (B,)
        width = width or max(1, int(lengths.max()))
        device = self.flat.device
        places = torch.arange(width, device=device)
        real = places[None, :] < lengths.to(device, non_blocking=True)[:, None]  # (B, L)
        first = self._starts_there[index.to(device, non_blocking=True)]
        where = (first[:, None] + places[None, :]).clamp(max=len(self.flat) - 1)
        return self.flat[where].masked_fill(~real, 0), real

    def save(self, path: Path) -> None:
        """Ids below 2^24; low, middle and high bytes apart, since the high ones hardly vary."""
        flat, lengths = self.flat.numpy(), self.lengths().numpy()
        planes = [(flat >> shift & 255).astype(np.uint8).tobytes() for shift in (0, 8, 16)]
        header = np.array([len(lengths), len(flat)], "<i8").tobytes()
        content = header + lengths.astype("<u4").tobytes() + b"".join(planes)
        path.write_bytes(lzma.compress(content, format=lzma.FORMAT_XZ, filters=_FILTERS))

    @classmethod
    def load(cls, path: Path) -> Ragged:
        content = lzma.decompress(path.read_bytes())
        count, size = np.frombuffer(content, "<i8", 2)
        lengths = np.frombuffer(content, "<u4", count, 16).astype(np.int64)
        at = 16 + 4 * int(count)
        flat = np.zeros(size, np.int64)
        for number in range(3):
            plane = np.frombuffer(content, np.uint8, size, at + number * int(size))
            flat |= plane.astype(np.int64) << 8 * number
        starts = np.concatenate([[0], lengths.cumsum()])
        return cls(torch.from_numpy(flat), torch.from_numpy(starts))
