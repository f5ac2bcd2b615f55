"""Which tensors go to Triton: those on a GPU."""

from __future__ import annotations

from functools import cache

from torch import Tensor

from polyrank.installed import is_installed


@cache
def installed() -> bool:
    return is_installed("triton")


def use_triton(tensor: Tensor) -> bool:
    """Whether kernels over this tensor go to Triton: on a GPU, with Triton installed."""
    return tensor.is_cuda and installed()
