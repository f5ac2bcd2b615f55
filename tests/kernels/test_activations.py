"""The activations: what padded bottlenecks rely on, and the functions that the library means."""

import pytest
import torch

from polyrank.kernels.activations import ACTIVATIONS, activate


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_zero_stays_zero(name):
    assert activate(name, torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_each_is_what_the_library_means_by_its_name(name):
    modeling = pytest.importorskip("adapters.methods.modeling")
    x = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(activate(name, x), modeling.Activation_Function_Class(name)(x))


def test_no_name_is_no_activation():
    x = torch.tensor([-1.0, 2.0])
    assert activate(None, x) is x
