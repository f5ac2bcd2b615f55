"""Masks as values: on and off to the bit, several at once, and what they share."""

import copy
import random

import pytest
import torch

from polyrank.errors import ModuleError
from polyrank.modules.mask.overlap import Shared, overlap
from polyrank.modules.mask.sparse import SparseDifference, added, applied, apply, count, revert

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@pytest.fixture(params=DTYPES, ids=str)
def encoder(request, tiny_base):
    return copy.deepcopy(tiny_base.model).to(request.param)


def bytes_of(encoder):
    return b"".join(
        p.detach().view(-1).view(torch.uint8).numpy().tobytes() for p in encoder.parameters()
    )


def difference(shape, positions, values):
    return SparseDifference(tuple(shape), torch.tensor(positions), torch.tensor(values))


def by_hand(encoder, *masks):
    """Base + the masks, dense, in fp32 and rounded once."""
    result = copy.deepcopy(encoder)
    with torch.no_grad():
        for name, weight in result.named_parameters():
            parts = [mask[name].dense() for mask in masks if name in mask]
            weight.copy_(weight.float() + torch.stack(parts).sum(0) if parts else weight)
    return result


def test_a_difference_by_hand():
    layer = torch.nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    mask = {"weight": difference((2, 3), [1, 5], [0.5, -6.0])}
    other = {"weight": difference((2, 3), [1, 3], [0.25, 1.0])}
    with applied(layer, mask, other):
        assert layer.weight.tolist() == [[1.0, 2.75, 3.0], [5.0, 5.0, 0.0]]
    assert layer.weight.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert count(mask) == 2 and count(added([mask, other])) == 3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_thousand_random_cycles_leave_every_byte(dtype, random_mask):
    torch.manual_seed(1)
    layer = torch.nn.Linear(40, 30).to(dtype)
    before = bytes_of(layer)
    masks = [random_mask(layer, seed, share=0.3) for seed in range(6)]
    source = random.Random(2)
    for _ in range(1000):
        undo = apply(layer, *source.sample(masks, source.randint(1, 3)))
        assert bytes_of(layer) != before
        revert(layer, undo)
        assert bytes_of(layer) == before


def test_the_odd_bits_come_back():
    odd = torch.tensor([-0.0, 0.0, float("nan"), float("inf"), 1e-45, 3e38])
    odd.view(torch.int32)[2] |= 12345  # a NaN with a payload
    layer = torch.nn.Linear(6, 1, bias=False)
    layer.weight.data.copy_(odd)
    before = bytes_of(layer)
    with applied(layer, {"weight": difference((1, 6), list(range(6)), [1e30] * 6)}):
        assert bytes_of(layer) != before
    assert bytes_of(layer) == before


def test_masks_add_as_dense_tensors_do(encoder, random_mask):
    masks = [random_mask(encoder, seed, share=0.3) for seed in range(3)]
    expected = by_hand(encoder, *masks)
    tolerance = {torch.float32: 1e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}[encoder.dtype]
    with applied(encoder, *masks):
        for ours, theirs in zip(encoder.parameters(), expected.parameters(), strict=True):
            assert torch.allclose(ours, theirs, atol=tolerance, rtol=0)
    one = by_hand(encoder, masks[0])  # without a sum of masks there is one rounding: the same bits
    with applied(encoder, masks[0]):
        assert bytes_of(encoder) == bytes_of(one)


@pytest.mark.parametrize("stretch", [1, 7, 1000])
def test_sums_do_not_depend_on_how_they_are_cut(stretch, random_mask, monkeypatch):
    from polyrank.modules.mask import sparse

    layer = torch.nn.Linear(20, 30)
    masks = [random_mask(layer, seed, share=0.1) for seed in range(3)]
    monkeypatch.setattr(sparse, "_STRETCH", stretch)
    for name, total in added(masks).items():
        dense = [mask[name].dense() for mask in masks]
        assert torch.equal(total.dense(), dense[0] + dense[1] + dense[2])
        touched = torch.cat([mask[name].indices for mask in masks]).unique()
        assert torch.equal(total.indices, touched)
    empty = {"w": SparseDifference((0, 3), torch.empty(0, dtype=torch.int64), torch.empty(0))}
    assert len(added([empty, empty])["w"].indices) == 0


def test_an_exception_inside_restores(encoder, random_mask):
    before = bytes_of(encoder)
    with pytest.raises(KeyboardInterrupt), applied(encoder, random_mask(encoder, 1)):
        raise KeyboardInterrupt
    assert bytes_of(encoder) == before


def test_blocks_nest(encoder, random_mask):
    before = bytes_of(encoder)
    with applied(encoder, random_mask(encoder, 1)):
        once = bytes_of(encoder)
        with applied(encoder, random_mask(encoder, 2)):
            assert bytes_of(encoder) != once
        assert bytes_of(encoder) == once != before
    assert bytes_of(encoder) == before


def test_all_of_it_or_none(encoder, random_mask):
    """The last tensor's values cannot be added, which shows only when the others are on."""
    before = bytes_of(encoder)
    mask = random_mask(encoder, 1)
    name, last = list(mask.items())[-1]
    broken = {**mask, name: SparseDifference(last.shape, last.indices, last.values[:-1])}
    with pytest.raises(RuntimeError):
        apply(encoder, broken)
    assert bytes_of(encoder) == before


@pytest.mark.parametrize(
    ("name", "made", "reason"),
    [
        ("nowhere.weight", ((1,), [0], [1.0]), "which this base lacks"),
        ("embeddings.LayerNorm.weight", ((31,), [0], [1.0]), "of shape"),
        ("embeddings.LayerNorm.weight", ((32,), [3, 32], [1.0, 1.0]), "outside its 32"),
        ("embeddings.LayerNorm.weight", ((32,), [-1, 3], [1.0, 1.0]), "outside its 32"),
    ],
)
def test_what_does_not_fit_changes_nothing(encoder, random_mask, name, made, reason):
    before = bytes_of(encoder)
    with pytest.raises(ModuleError, match=reason):
        apply(encoder, random_mask(encoder, 1), {name: difference(*made)})
    assert bytes_of(encoder) == before


def test_weights_that_are_not_contiguous_are_refused():
    layer = torch.nn.Linear(2, 2, bias=False)
    layer.weight = torch.nn.Parameter(torch.eye(2).expand(2, 2, 2)[0].t())
    with pytest.raises(ModuleError, match="not contiguous"):
        apply(layer, {"weight": difference((2, 2), [0], [1.0])})


def test_no_mask_changes_nothing(encoder):
    before = bytes_of(encoder)
    with applied(encoder):
        assert bytes_of(encoder) == before


def test_overlap_by_hand():
    first = {
        "a": difference((6,), [0, 2, 3, 5], [1.0, -1.0, 2.0, 0.0]),
        "b": difference((1,), [0], [1.0]),
    }
    second = {
        "a": difference((6,), [1, 2, 3, 5], [1.0, 1.0, 1.0, -1.0]),
        "c": difference((2,), [1], [1.0]),
    }
    report = overlap(first, second)
    assert report.tensors == {
        "a": Shared(4, 4, both=3, conflicts=1),  # at 2; at 5 the first adds nothing
        "b": Shared(1, 0, 0, 0),
        "c": Shared(0, 1, 0, 0),
    }
    assert report.total == Shared(5, 5, 3, 1)
    assert str(report).splitlines()[0].split() == ["tensor", "first", "second", "both", "conflicts"]
    assert str(report).splitlines()[-1].split() == ["total", "5", "5", "3", "1"]


def test_a_mask_and_its_opposite_conflict_everywhere(encoder, random_mask):
    mask = random_mask(encoder, 1)
    opposite = {k: SparseDifference(d.shape, d.indices, -d.values) for k, d in mask.items()}
    assert overlap(mask, mask).total == Shared(count(mask), count(mask), count(mask), 0)
    assert overlap(mask, opposite).total.conflicts == count(mask)
