"""`pytorch_diff.bin`: positions by hand, an independent writer, and round trips to the bit."""

import numpy as np
import pytest
import torch

from polyrank.errors import ModuleError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.mask.sparse import SparseDifference
from polyrank.zoo.imports.composable_sft import (
    SparseFineTuning,
    positions,
    read_sft,
    write_sft,
)
from polyrank.zoo.imports.masks import head_of, split_names, with_prefix


def published(dense):
    """A tensor in the published layout, by loops: the first dimension runs fastest."""
    rows, columns = dense.shape
    places = [
        (row + rows * column, dense[row, column])
        for column in range(columns)
        for row in range(rows)
        if dense[row, column] != 0
    ]
    steps, last = [], 0
    for place, _ in places:
        steps.append(place - last)
        last = place
    steps[0] = np.int64(steps[0])  # as published files have it
    values = torch.stack([value for _, value in places])
    return {"size": dense.shape, "index_steps": steps, "values": values}


def test_positions_by_hand():
    # Of the size (3, 4), position 5 is row 5 mod 3 = 2 and column 5 // 3 = 1: row-major 2·4+1 = 9.
    # 5 + 2 = 7 is (1, 2): 6.  7 + 4 = 11 is (2, 3): 11.
    assert positions([np.int64(5), 2, 4], (3, 4)).tolist() == [9, 6, 11]
    assert positions([2, 1], (5,)).tolist() == [2, 3]
    assert positions([], (3, 4)).tolist() == []
    # Three dimensions, (2, 3, 4): 13 = 1 + 2·(0 + 3·2), so (1, 0, 2): (1·3 + 0)·4 + 2 = 14.
    assert positions([13], (2, 3, 4)).tolist() == [14]


def test_positions_beyond_32_bits():
    rows, columns = 70_000, 50_000  # 3.5e9 elements; int32 ends at 2.1e9
    last = rows * columns - 1
    found = positions([np.int64(1), last - 1], (rows, columns))
    assert found.tolist() == [columns, last]  # (1, 0) and (69999, 49999)


@pytest.mark.parametrize(
    ("steps", "size"), [([-1], (3, 4)), ([3, 0], (3, 4)), ([12], (3, 4)), ([2**63 - 1, 5], (3, 4))]
)
def test_positions_that_cannot_be(steps, size):
    with pytest.raises((ValueError, OverflowError)):
        positions(steps, size)


def test_a_file_of_an_independent_writer_is_decoded(tmp_path):
    generator = torch.Generator().manual_seed(3)
    dense = torch.randn(7, 5, generator=generator)
    dense[torch.rand(7, 5, generator=generator) < 0.6] = 0
    head = torch.randn(4, generator=generator)
    content = {"diffs": {"bert.w": published(dense)}, "abs": {"cls.bias": head}}
    torch.save(content, tmp_path / "pytorch_diff.bin")
    found = read_sft(tmp_path / "pytorch_diff.bin")
    assert torch.equal(found.differences["bert.w"].dense(), dense)
    assert (found.differences["bert.w"].indices.diff() > 0).all()
    assert torch.equal(found.absolute["cls.bias"], head)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_written_is_read_to_the_bit(tmp_path, dtype):
    dense = torch.randn(6, 8, generator=torch.Generator().manual_seed(5)).to(dtype)
    indices = torch.tensor([0, 3, 17, 18, 40, 47])
    difference = SparseDifference((6, 8), indices, dense.view(-1)[indices])
    empty = SparseDifference((2, 2), torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=dtype))
    sft = SparseFineTuning({"bert.a": difference, "bert.b": empty}, {"h": torch.ones(3)})
    write_sft(tmp_path / "pytorch_diff.bin", sft)
    found = read_sft(tmp_path / "pytorch_diff.bin").differences
    for name in ("bert.a", "bert.b"):
        assert torch.equal(found[name].indices, sft.differences[name].indices)
        assert torch.equal(found[name].values, sft.differences[name].values)
        assert (
            found[name].values.dtype == dtype and found[name].shape == sft.differences[name].shape
        )


def test_what_is_written_is_in_the_published_layout(tmp_path):
    dense = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    row_major = SparseDifference((2, 3), torch.tensor([1, 3, 5]), torch.tensor([1.0, 2.0, 3.0]))
    write_sft(tmp_path / "x.bin", SparseFineTuning({"bert.w": row_major}, {}))
    content = torch.load(tmp_path / "x.bin", weights_only=True)["diffs"]["bert.w"]
    expected = published(dense)
    assert content["size"] == expected["size"]
    assert content["index_steps"] == expected["index_steps"]
    assert torch.equal(content["values"], expected["values"])


def broken(**change):
    good = {"size": (3, 4), "index_steps": [5, 2], "values": torch.ones(2)}
    return {"diffs": {"bert.w": {**good, **change}}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (broken(values=torch.ones(3)), "not one value for each position"),
        (broken(values=torch.tensor([1.0, torch.nan])), "not finite numbers"),
        (broken(values=torch.tensor([1, 2])), "not finite numbers"),
        (broken(index_steps=[5, 0]), "do not increase"),
        (broken(index_steps=[5, 9]), "broken at 'bert.w'"),
        (broken(index_steps=None), "broken at 'bert.w'"),
        (broken(size="ab"), "broken at 'bert.w'"),
        ({"body": {}}, "holds no 'diffs', but body"),
        ([1], "holds no 'diffs', but list"),
        ({"diffs": {}, "abs": {"h": 3}}, "other than tensors"),
    ],
)
def test_what_is_no_such_file(tmp_path, content, message):
    torch.save(content, tmp_path / "x.bin")
    with pytest.raises(ModuleError, match=message):
        read_sft(tmp_path / "x.bin")


def one(value):
    return SparseDifference((1,), torch.tensor([0]), torch.tensor([value]))


def test_what_is_outside_the_encoder_is_counted():
    names = ["bert.embeddings.w", "bert.encoder.w", "bert.pooler.dense.bias", "cls.bias"]
    inside, outside, prefix = split_names(SparseFineTuning({n: one(1.0) for n in names}, {}))
    assert list(inside) == ["embeddings.w", "encoder.w"] and prefix == "bert."
    assert outside == {"bert.pooler.dense.bias": 1, "cls.bias": 1}
    with pytest.raises(ModuleError, match="changes transformer, which is not an encoder"):
        split_names(SparseFineTuning({"transformer.h": one(1.0)}, {}))


def test_the_head_of_bert_adds_the_difference_to_the_base_s_pooler():
    pooler = {"weight": torch.tensor([[2.0]]), "bias": torch.tensor([3.0])}
    absolute = {"classifier.weight": torch.tensor([[5.0]]), "classifier.bias": torch.tensor([7.0])}
    sft = SparseFineTuning({"bert.pooler.dense.bias": one(0.5)}, absolute)
    head = head_of(sft, "bert.", pooler)
    assert [(float(w), float(b)) for w, b in head.layers] == [(2.0, 3.5), (5.0, 7.0)]
    with pytest.raises(
        ModuleError, match="'bert.pooler.dense.weight'(.|\n)*a base whose checkpoint"
    ):
        head_of(sft, "bert.", None)
    absolute["classifier.weight"] = torch.ones(3, 1)
    with pytest.raises(ModuleError, match="has 3 labels"):
        head_of(SparseFineTuning({}, absolute), "bert.", pooler)


@pytest.mark.parametrize("prefix", ["bert.", "roberta."])
def test_a_mask_with_head_goes_out_and_comes_back(prefix):
    head = Head(((torch.ones(3, 3), torch.zeros(3)), (torch.ones(1, 3), torch.tensor([2.0]))))
    sft = with_prefix({"encoder.w": one(1.0)}, head, prefix)
    inside, outside, found = split_names(sft)
    assert list(inside) == ["encoder.w"] and not outside and found == prefix
    back = head_of(sft, prefix, None)
    for before, after in zip(head.layers, back.layers, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    with pytest.raises(ModuleError, match="cannot be exported"):
        with_prefix({}, Head(head.layers, "relu"), prefix)
