"""The streaming selection equals sorting everything, and breaks ties by place."""

from __future__ import annotations

import pytest
import torch

from polyrank.errors import UsageError
from polyrank.training.loop import selection
from polyrank.training.loop.selection import select_largest


def test_by_hand():
    start = {"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "b": torch.tensor([10.0, 20.0, 30.0])}
    now = {"a": torch.tensor([[1.0, 2.5], [2.0, 4.1]]), "b": torch.tensor([10.5, 17.0, 30.0])}
    # changes: a 0, .5, 1, .1; b .5, 3, 0: the three largest are b[1], a[2] and the earlier .5: a[1]
    chosen = select_largest(now, start, 3)
    assert {name: places.tolist() for name, places in chosen.items()} == {"a": [1, 2], "b": [1]}


@pytest.mark.parametrize("k", [1, 7, 500, 2999, 3000])
def test_equals_a_stable_sort_of_everything(k, monkeypatch):
    monkeypatch.setattr(selection, "CHUNK", 64)  # many chunks, cut within tensors
    torch.manual_seed(0)
    start = {"a": torch.randn(40, 25), "b": torch.randn(2000)}
    now = {name: t + torch.randn(t.shape).mul(4).round() / 8 for name, t in start.items()}  # ties
    change = torch.cat([(now[name] - start[name]).abs().reshape(-1) for name in now])
    expected = change.argsort(descending=True, stable=True)[:k].sort().values
    chosen = select_largest(now, start, k)
    assert torch.equal(torch.cat([chosen["a"], chosen["b"] + 1000]), expected)


def test_taken_positions_are_left_out():
    now, start = {"a": torch.arange(6.0)}, {"a": torch.zeros(6)}
    chosen = select_largest(now, start, 2, {"a": torch.tensor([2, 5])})
    assert chosen["a"].tolist() == [3, 4]
    with pytest.raises(UsageError, match="5 coordinates cannot be chosen from 4"):
        select_largest(now, start, 5, {"a": torch.tensor([2, 5])})


def test_denormal_and_huge_changes_keep_their_order():
    now = {"a": torch.tensor([1e-42, 3e38, 2e-42, 0.0, 1.0])}
    chosen = select_largest(now, {"a": torch.zeros(5)}, 3)
    assert chosen["a"].tolist() == [1, 2, 4]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_diverged_training_is_named(wrong):
    with pytest.raises(UsageError, match="'a' holds numbers that are not finite"):
        select_largest({"a": torch.tensor([0.0, wrong])}, {"a": torch.zeros(2)}, 1)
