"""Where a training under bf16 autocast computes in fp32: the scores that a loss compares.

bf16 keeps 8 bits of a number, so scores near 6 come in steps of 1/32: a teacher's order among good
candidates is lost in it, and so is a student's. Encoders stay under autocast, where the time goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def full_precision(device: torch.device) -> torch.autocast:
    """A context without autocast, also inside one."""
    return torch.autocast(device.type, enabled=False)


@contextmanager
def head_in_fp32(model: Any) -> Iterator[None]:
    """Inside, the linear layers of a model's ranking head compute in fp32, its encoder as before.

    They are reached through the model's own forward, so that gradients of a model that is spread
    over processes are still gathered.

    Args:
        model: a sequence classifier, of Hugging Face or of the `adapters` library; maybe wrapped.
    """
    linears = _head_linears(getattr(model, "module", model))
    for linear in linears:
        linear.forward = partial(_in_fp32, linear)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for linear in linears:
            del linear.forward


def _in_fp32(linear: nn.Linear, x: Tensor) -> Tensor:
    with full_precision(x.device):
        return nn.functional.linear(x.float(), linear.weight, linear.bias)


def _head_linears(model: nn.Module) -> list[nn.Linear]:
    """Those outside the encoder, and those of BERT's pooler, which its head runs through."""
    encoder = getattr(model, "base_model", model)
    inside = set(encoder.modules()) - set(
        (getattr(encoder, "pooler", None) or nn.Module()).modules()
    )
    return [m for m in model.modules() if isinstance(m, nn.Linear) and m not in inside]
