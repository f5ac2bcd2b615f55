"""Sums of masks: read once, added once, and no more of them kept than allowed."""

import torch

from polyrank.modules.mask.sparse import SparseDifference, added
from polyrank.modules.mask.sums import MaskSums, nbytes


def mask(seed):
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randperm(1000, generator=generator)[:100].sort().values
    return {"w": SparseDifference((1000,), indices, torch.randn(100, generator=generator))}


class Loads:
    """Reads a mask, and remembers that it did."""

    def __init__(self):
        self.names = []

    def __call__(self, name):
        self.names.append(name)
        return mask(name)


def test_a_sum_is_made_once():
    load = Loads()
    sums = MaskSums(load)
    first = sums((1, 2))
    assert sums((1, 2)) is first and load.names == [1, 2]
    sums((2, 3))
    assert load.names == [1, 2, 3]
    expected = added([mask(1), mask(2)])["w"]
    assert torch.equal(first["w"].indices, expected.indices)
    assert torch.equal(first["w"].dense(), mask(1)["w"].dense() + mask(2)["w"].dense())
    assert sums(()) == {}


def test_those_not_used_for_longest_go():
    one = nbytes(mask(1))
    assert one == 100 * (8 + 4)
    load = Loads()
    sums = MaskSums(load, keep_bytes=3 * one)
    for name in (1, 2, 3, 1, 4):  # 2 is the one that was not used for longest
        sums((name,))
    assert [(n,) in sums.sums for n in (1, 2, 3, 4)] == [True, False, True, True]
    assert sums.sums.held_bytes == 3 * one
    assert load.names == [1, 2, 3, 4]
    sums((5,)), sums((6,)), sums((7,)), sums((1,))
    assert load.names == [1, 2, 3, 4, 5, 6, 7, 1]  # its sum and itself had gone


def test_one_is_kept_whatever_its_size():
    sums = MaskSums(Loads(), keep_bytes=1)
    assert sums((1,)) is sums((1,))
    sums((2,))
    assert (1,) not in sums.sums and (2,) in sums.sums
