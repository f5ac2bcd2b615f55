"""Rounding that changes scores too much is refused."""

import pytest
import torch
from torch import nn

from polyrank.modules.storage import rounded


class Line(nn.Module):
    """Scores are weight · input."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, input_ids):
        return type("Output", (), {"logits": self.weight * input_ids})


BATCH = [{"input_ids": torch.tensor([0.0, 1.0, 2.0])}]


def test_by_hand():
    # fp16 has a step of 2^-10 at 1: 1 + 2^-12 becomes 1, the scores 0, 1, 2 have a deviation of 1
    model = Line(1.0 + 2**-12)
    kept, stored = rounded(model, BATCH)
    assert kept.weight.dtype == torch.float16 and model.weight.dtype == torch.float32
    assert stored.difference == pytest.approx(2 * 2**-12, abs=1e-6) and stored.count == 3
    assert "at most 0.05% of their standard deviation" in str(stored)


def test_what_half_precision_cannot_hold_stays_in_full():
    model = Line(1e6)  # beyond 65504
    kept, stored = rounded(model, BATCH)
    assert kept is model and stored.dtype == "float32" and stored.difference is None
    assert "beyond the range" in str(stored)


def test_scores_that_would_change_stay_in_full():
    model = Line(2.0**-26)  # fp16 has nothing between 0 and 2^-24, and makes it 0
    kept, stored = rounded(model, BATCH)
    assert kept is model and stored.dtype == "float32" and "more than" in str(stored)


def test_the_autocast_that_a_trainer_leaves_is_not_measured():
    model = Line(1.0)
    model.forward = None
    assert rounded(model, BATCH)[1].difference == 0.0
