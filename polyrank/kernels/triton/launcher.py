"""Launch a Triton kernel with little work on the host.

Triton binds, hashes and specialises every argument at each call. The kernels here take their sizes
unspecialised, so that what was compiled is known by a short key and can be launched as it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_compiled: dict[tuple[Any, ...], Any] = {}


def launch(
    kernel: Any,
    programs: int,
    tensors: tuple[Tensor | None, ...],
    sizes: tuple[int, ...],
    constants: tuple[Any, ...],
    warps: int,
    stages: int,
) -> None:
    """Run `kernel(*tensors, *sizes, *constants)` over so many programs, without a host stall.

    Args:
        kernel: a `triton.jit` function with all sizes in `do_not_specialize`.
        tensors: all on one device.
        sizes: below 2^31. constants: the kernel's constexprs.
    """
    if programs == 0:
        return
    device = next(tensor.device for tensor in tensors if tensor is not None)
    if device.type == "cuda" and device.index != torch.cuda.current_device():
        with torch.cuda.device(device):
            launch(kernel, programs, tensors, sizes, constants, warps, stages)
        return
    addresses = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    # What Triton compiles a pointer for: its type, and whether it is aligned to 16 bytes.
    kinds = [
        None if address is None or tensor is None else (tensor.dtype, address % 16 == 0)
        for tensor, address in zip(tensors, addresses, strict=True)
    ]
    key = (kernel.fn, device, warps, stages, constants, *kinds)
    compiled = _compiled.get(key)
    if compiled is not None:  # addresses are taken as they are, without a question to the driver
        compiled[(programs, 1, 1)](*addresses, *sizes, *constants)
        return
    options = {"num_warps": warps, "num_stages": stages}
    made = kernel[(programs,)](*tensors, *sizes, *constants, **options)
    if device.type == "cuda":  # not Triton's interpreter
        _compiled[key] = made
