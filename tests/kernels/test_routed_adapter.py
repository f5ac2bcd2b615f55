"""Adapters over tokens of different modules: each path against one token at a time."""

import pytest
import torch
import torch.nn.functional as F

from polyrank.kernels import routed_adapter
from polyrank.kernels.activations import ACTIVATIONS
from polyrank.kernels.routed_adapter import (
    add_adapters,
    assign,
    stack_adapters,
)

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(params=["pytorch", "triton"])
def path(request, monkeypatch):
    """Both paths; Triton on a GPU where there is one, else in its interpreter."""
    if request.param == "triton":
        pytest.importorskip("triton")
    monkeypatch.setattr(routed_adapter, "use_triton", lambda tensor: request.param == "triton")


def adapter(width_in, rank, width_out, generator, bias=True):
    def linear(out, into):
        weight = 0.3 * torch.randn(out, into, generator=generator)
        return weight, torch.randn(out, generator=generator) if bias else None

    return linear(rank, width_in), linear(width_out, rank)


def one_at_a_time(z, onto, adapters, module, activation):
    rows = []
    for token, before, number in zip(z, onto, module.tolist(), strict=True):
        if adapters[number] is None:
            rows.append(before)
            continue
        (down, down_bias), (up, up_bias) = adapters[number]
        rows.append(before + F.linear(activation(F.linear(token, down, down_bias)), up, up_bias))
    return torch.stack(rows)


def run(z, onto, adapters, module, activation="relu", dtype=torch.float32):
    place = {"device": DEVICE, "dtype": dtype}

    def moved(linear):
        return tuple(part if part is None else part.to(**place) for part in linear)

    stack = stack_adapters(
        [a and (moved(a[0]), moved(a[1])) for a in adapters],
        activation,
    )
    assignment = assign(module.to(DEVICE), len(adapters))
    return add_adapters(z.to(**place), onto.to(**place, copy=True), stack, assignment).cpu()


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_each_token_goes_through_its_own_module(path, activation):
    generator = torch.Generator().manual_seed(0)
    # Bottlenecks of different widths, none a power of two; module 2 has none, module 4 no token.
    adapters = [adapter(40, rank, 40, generator) for rank in (5, 17, 24, 3, 8)]
    adapters[2] = None
    module = torch.tensor([0] * 70 + [1] * 32 + [2] * 9 + [3])
    module = module[torch.randperm(len(module), generator=generator)]
    z, onto = (torch.randn(len(module), 40, generator=generator) for _ in range(2))
    result = run(z, onto, adapters, module, activation)
    same = one_at_a_time(z, onto, adapters, module, ACTIVATIONS[activation])
    torch.testing.assert_close(result, same, rtol=1e-5, atol=1e-5)
    assert torch.equal(result[module == 2], onto[module == 2])


@pytest.mark.parametrize(("width_in", "rank", "width_out"), [(384, 96, 384), (192, 96, 192)])
def test_the_sizes_of_a_base_of_width_384(path, width_in, rank, width_out):
    generator = torch.Generator().manual_seed(0)
    adapters = [adapter(width_in, rank, width_out, generator, bias=n > 0) for n in range(3)]
    module = torch.randint(0, 3, (50,), generator=generator)
    z, onto = (torch.randn(50, w, generator=generator) for w in (width_in, width_out))
    result = run(z, onto, adapters, module)
    same = one_at_a_time(z, onto, adapters, module, F.relu)
    torch.testing.assert_close(result, same, rtol=1e-5, atol=1e-4)  # sums of some hundreds


def test_halves_of_one_tensor(path):
    """As the coupling reads and writes them: rows that lie a full width apart."""
    generator = torch.Generator().manual_seed(0)
    adapters = [adapter(16, 8, 16, generator) for _ in range(2)]
    tokens, module = torch.randn(9, 32, generator=generator), torch.arange(9) % 2
    device = tokens.to(DEVICE, copy=True)
    first, second = device.chunk(2, dim=1)
    stack = stack_adapters(
        [tuple((w.to(DEVICE), b.to(DEVICE)) for w, b in a) for a in adapters], "relu"
    )
    add_adapters(second, first, stack, assign(module.to(DEVICE), 2))
    same = one_at_a_time(tokens[:, 16:], tokens[:, :16], adapters, module, F.relu)
    torch.testing.assert_close(device[:, :16].cpu(), same, rtol=1e-5, atol=1e-5)
    assert torch.equal(device[:, 16:].cpu(), tokens[:, 16:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_near(path, dtype):
    if dtype == torch.bfloat16 and DEVICE == "cpu" and routed_adapter.use_triton(None):
        pytest.skip("Triton's interpreter multiplies the bits of bf16 as if they were integers")
    generator = torch.Generator().manual_seed(0)
    adapters = [adapter(32, 8, 32, generator) for _ in range(3)]
    module = torch.randint(0, 3, (40,), generator=generator)
    z, onto = (torch.randn(40, 32, generator=generator) for _ in range(2))
    result = run(z, onto, adapters, module, dtype=dtype)
    same = one_at_a_time(z, onto, adapters, module, F.relu)
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), same, rtol=0.03, atol=0.06)


def test_an_assignment_by_hand(monkeypatch):
    monkeypatch.setattr(routed_adapter, "adapter_tokens", lambda *_: 2)
    found = assign(torch.tensor([2, 0, 2, 2, 0, 2, 2]), 4)
    assert found.order.tolist() == [1, 4, 0, 2, 3, 5, 6]
    assert found.ends.tolist() == [2, 2, 7, 7, 0]
    # One tile of module 0, three of module 2; of the 7 // 2 + 4 that there could be, 3 are idle.
    assert found.tile_module.tolist() == [0, 2, 2, 2, 4, 4, 4]
    assert found.tile_start.tolist()[:4] == [0, 2, 4, 6]
    assert found.tile == 2


def test_no_module_has_an_adapter_here():
    assert stack_adapters([None, None], "relu") is None
