"""Layer maps and loss terms, by hand."""

import pytest
import torch

from polyrank.errors import UsageError
from polyrank.training.distillation.state_alignment import (
    States,
    attention_mse,
    hidden_mse,
    with_probabilities,
)
from polyrank.training.distillation.student import layer_map, make_student


@pytest.mark.parametrize(
    ("layers", "factor", "name", "wanted"),
    [
        (6, 2, "regular", [1, 3, 5]),
        (6, 3, "regular", [2, 5]),
        (12, 3, "regular", [2, 5, 8, 11]),
        (6, 2, "bottom", [0, 1, 2]),
        (6, 3, "last", [4, 5]),
    ],
)
def test_layer_maps(layers, factor, name, wanted):
    assert layer_map(layers, factor, name) == wanted


@pytest.mark.parametrize(("factor", "name"), [(4, "regular"), (0, "regular"), (2, "middle")])
def test_what_does_not_divide_is_refused(factor, name):
    with pytest.raises(UsageError, match="use one of"):
        layer_map(6, factor, name)


def test_hidden_mse_by_hand():
    # teacher of 2 layers, student of 1: state 0 on state 0, state 1 on state 2
    teacher = States([torch.full((1, 2, 1), v) for v in (1.0, 50.0, 3.0)], [torch.zeros(1)] * 2)
    student = States([torch.full((1, 2, 1), v) for v in (0.0, 1.0)], [torch.zeros(1)])
    student.hidden[1][0, 1] = 99.0  # padding
    assert hidden_mse(student, teacher, torch.tensor([[1, 0]])) == 2.5  # (1² + 2²) / 2


def test_attention_mse_by_hand():
    first, last = (
        torch.tensor([[[[1.0, 0.0], [0.5, 0.5]]]]),
        torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]]),
    )
    mine = torch.tensor([[[[0.4, 0.6], [0.8, 0.2]]]])
    teacher, student = States([], [first, last]), States([], [mine])
    # layer 1 of the teacher: .1² + .1² + .2², and the exact zero does not count
    found = attention_mse(student, teacher, torch.tensor([[1, 1]]))
    assert found == pytest.approx((0.01 + 0.01 + 0.04) / 3)
    # the second token as padding: its own row does not count either
    assert attention_mse(student, teacher, torch.tensor([[1, 0]])) == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["regular", "bottom", "last"])
def test_a_student_has_the_layers_of_its_map(tiny_base, name):
    student = make_student(tiny_base.model, 3, name)
    whole = tiny_base.model.state_dict()
    place = layer_map(3, 3, name)[0]
    for key, tensor in student.state_dict().items():
        assert torch.equal(tensor, whole[key.replace("layer.0.", f"layer.{place}.")])
    assert student.config.num_hidden_layers == 1


@pytest.mark.parametrize("given", [None, (), (None, None), (torch.ones(1, 1, 2, 2), None)])
def test_a_layout_without_attention_probabilities_is_refused(given):
    with pytest.raises(UsageError, match="no attention probabilities"):
        with_probabilities(given)
