"""The activation functions of adapters and heads, by their names in the `adapters` library.

Each takes 0 to 0: a bottleneck that is padded with zeros to the width of others then computes the
same (`polyrank.kernels.routed_adapter`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "swish": F.silu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "leakyrelu": F.leaky_relu,
}


def activate(name: str | None, x: Tensor) -> Tensor:
    """The function of that name in ACTIVATIONS; None is none: x itself."""
    return x if name is None else ACTIVATIONS[name](x)
