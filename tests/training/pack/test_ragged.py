"""Sequences side by side, and on disk."""

import torch

from polyrank.training.pack.ragged import Ragged


def test_rows_are_cut_and_filled():
    texts = Ragged.of([[5, 6, 7], [], [8]])
    ids, real = texts.rows(torch.tensor([2, 0, 1]), limit=2)
    assert ids.tolist() == [[8, 0], [5, 6], [0, 0]]
    assert real.tolist() == [[True, False], [True, True], [False, False]]


def test_a_width_can_be_asked_for():
    ids, real = Ragged.of([[5, 6, 7]]).rows(torch.tensor([0]), limit=9, width=5)
    assert ids.tolist() == [[5, 6, 7, 0, 0]] and real.sum() == 3


def test_what_is_read_is_what_was_written(tmp_path):
    rows = [[0, 255, 256, 65_536, 16_777_215], [], [70_000]]
    Ragged.of(rows).save(tmp_path / "texts.xz")
    back = Ragged.load(tmp_path / "texts.xz")
    assert [back.row(number).tolist() for number in range(len(back))] == rows
