"""Which tensors go to Triton: those on a GPU."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from torch import Tensor


@cache
def installed() -> bool:
    return find_spec("triton") is not None


def use_triton(tensor: Tensor) -> bool:
    """Whether kernels over this tensor go to Triton: on a GPU, with Triton installed."""
    return tensor.is_cuda and installed()
