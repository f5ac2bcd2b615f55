"""Products of many vectors with few query tokens, and memory to keep between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import local

import torch
from torch import Tensor


class Workspace:
    """Memory that blocks use one after the other."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._flat = torch.empty(0, device=device, dtype=dtype)

    def take(self, rows: int, columns: int) -> Tensor:
        """(rows, columns), holding anything, until the next take."""
        if len(self._flat) < rows * columns:
            self._flat = self._flat.new_empty(rows * columns)
        return self._flat[: rows * columns].view(rows, columns)


class _Kept(local):
    def __init__(self) -> None:
        self.rooms: dict[tuple[str, torch.dtype], Workspace] = {}


_kept = _Kept()


def workspace(use: str, device: torch.device, dtype: torch.dtype) -> Workspace:
    """This thread's memory for one use at a time.

    On a CPU it is kept from call to call, some megabytes: pages that are fresh from the system cost
    as much as a product.
    """
    if device.type != "cpu":
        return Workspace(device, dtype)
    if (use, dtype) not in _kept.rooms:
        _kept.rooms[use, dtype] = Workspace(device, dtype)
    return _kept.rooms[use, dtype]


# (vectors (rows, d), tokens (R, d), room) -> vectors @ tokens.T, (rows, R), until the next product
Product = Callable[[Tensor, Tensor, Workspace], Tensor]


def product(device: torch.device, dtype: torch.dtype) -> Product:
    """What multiplies vectors with query tokens: oneDNN for fp32 on a CPU, unless less than fp32
    was asked for, else PyTorch's own choice."""
    exact = torch.get_float32_matmul_precision() == "highest"
    able = device.type == "cpu" and dtype == torch.float32 and _onednn()
    return _linear if able and exact else _multiply


def _multiply(vectors: Tensor, tokens: Tensor, room: Workspace) -> Tensor:
    return torch.mm(vectors, tokens.T, out=room.take(len(vectors), len(tokens)))


def _linear(vectors: Tensor, tokens: Tensor, room: Workspace) -> Tensor:
    """As `_multiply`, by oneDNN's inner product, in fp32 too.

    PyTorch gives fp32 products to MKL, which takes 1.4 to 3 times as long as oneDNN for so few
    columns, and does not use AVX-512 on every processor that has it.
    """
    if vectors.numel() == 0 or tokens.numel() == 0:
        return _multiply(vectors, tokens, room)
    return torch.ops.mkldnn._linear_pointwise(vectors, tokens, None, "none", [], "")


@cache
def _onednn() -> bool:
    """Whether PyTorch has oneDNN's inner product where its compiler expects it, and it is right:
    the name is not a public one."""
    if not torch.backends.mkldnn.is_available():
        return False
    vectors, tokens = torch.arange(12.0).view(3, 4), torch.arange(8.0).view(2, 4)
    room = Workspace(vectors.device, vectors.dtype)
    try:
        return torch.equal(_linear(vectors, tokens, room), vectors @ tokens.T)  # exact: integers
    except (AttributeError, RuntimeError, TypeError):  # absent, or called in another way
        return False
