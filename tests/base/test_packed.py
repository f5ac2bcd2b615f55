"""The packed file of an encoder, written here by hand in the layout that the module states."""

import struct

import numpy as np
import pytest

from polyrank.base.packed import read_packed, widen
from polyrank.errors import DataError

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁a"]


def block(scale, levels):
    """32 weights in ggml's Q4_0."""
    low, high = levels[:16], levels[16:]
    return struct.pack("<e", scale) + bytes(a | b << 4 for a, b in zip(low, high, strict=True))


def packed_file(path, tensors):
    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)]).astype("<u4").tobytes()
    head = b"E5S1" + struct.pack("<I7ifi5i", 1, 32, 1, 2, 64, 6, 16, 2, 1e-12, 32, 5, 0, 2, 1, 3)
    head += struct.pack("<Q", sum(map(len, text))) + offsets
    head += np.array([0, 0, 0, 0, -1.5], "<f4").tobytes() + b"".join(text)
    head += struct.pack("<iI", 0, 0) + struct.pack("<i", len(tensors))
    entries = sum(2 + len(name) + 1 + 4 + 8 + 8 for name, *_ in tensors)
    at = len(head) + entries
    body = b""
    for name, kind, count, data in tensors:
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, count, at + len(body), len(data))
        body += data
    path.write_bytes(head + body)
    return path


def test_weights_are_widened_by_hand():
    levels = [8, 9, 0, 15] + [8] * 28  # 0, d, -8 d, 7 d
    values = widen(block(0.5, levels))
    assert values[:4].tolist() == [0.0, 0.5, -4.0, 3.5] and not values[4:].any()
    late = [8] * 16 + [10] + [8] * 15  # the seventeenth weight is in the first byte's high bits
    assert widen(block(2.0, late))[16] == 4.0


def test_a_file_is_read(tmp_path):
    plain = np.array([1.5, -2.0], "<f4").tobytes()
    path = packed_file(
        tmp_path / "file.bin", [("a.w", 1, 32, block(1.0, [7] * 32)), ("a.b", 0, 2, plain)]
    )
    found = read_packed(path)
    assert found.pieces == tuple(PIECES) and found.scores[4] == -1.5
    assert found.sizes["hidden"] == 32 and found.sizes["types"] == 2
    assert found.tensors["a.w"].tolist() == [-1.0] * 32
    assert found.tensors["a.b"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("cut", [3, 40, 120, -5])
def test_a_damaged_file_is_refused(tmp_path, cut):
    path = packed_file(tmp_path / "file.bin", [("a.w", 1, 32, block(1.0, [7] * 32))])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="packed encoder"):
        read_packed(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent"):
        read_packed(tmp_path / "absent.bin")
