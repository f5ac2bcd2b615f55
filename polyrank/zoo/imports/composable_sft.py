"""`pytorch_diff.bin` of composable-sft (Ansell et al. 2022, arXiv 2110.07560).

A torch pickle `{"diffs": {name: {"size", "index_steps", "values"}}, "abs": {name: tensor}}`: the
differences of the changed coordinates, and whole tensors, such as a head. Positions are flat with
the first dimension running fastest (column-major), increasing, stored as the first one and the gaps
between them. Names are those of a Hugging Face model with head, e.g. `bert.encoder.layer.0…`. The
file says neither its base nor its language.

Decoded in int64; the original decodes in int32, which overflows from 2³¹ elements on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.errors import ModuleError
from polyrank.modules.mask.sparse import Differences, SparseDifference
from polyrank.zoo.imports.pickles import read_pickle, write_pickle

SFT_FILE = "pytorch_diff.bin"


@dataclass(frozen=True, eq=False)
class SparseFineTuning:
    """The content of a file: differences and whole tensors, by the full model's names."""

    differences: Differences
    absolute: Mapping[str, Tensor]


def read_sft(path: str | Path) -> SparseFineTuning:
    """Read a `pytorch_diff.bin`; nothing in it is run.

    Raises:
        ModuleError: a file that is missing, cut, hostile, or of another layout.
    """
    content = read_pickle(path)
    if not isinstance(content, dict) or not isinstance(content.get("diffs"), dict):
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ModuleError(
            f"{path} holds no 'diffs', but {keys or 'nothing'}.\n"
            "Give a file that composable-sft of 2022 or later wrote."
        )
    absolute = content.get("abs") or {}
    if not all(isinstance(tensor, Tensor) for tensor in absolute.values()):
        raise ModuleError(f"{path} holds something other than tensors in 'abs'.\nDo not use it.")
    differences = {str(name): _decode(name, one, path) for name, one in content["diffs"].items()}
    return SparseFineTuning(differences, {str(name): t for name, t in absolute.items()})


def write_sft(path: str | Path, sft: SparseFineTuning) -> None:
    """Write a `pytorch_diff.bin` that composable-sft reads."""
    diffs = {name: _encode(one) for name, one in sft.differences.items()}
    absolute = {name: tensor.detach().cpu().clone() for name, tensor in sft.absolute.items()}
    write_pickle({"diffs": diffs, "abs": absolute}, Path(path))


def positions(steps: Sequence[int], size: Sequence[int]) -> np.ndarray[Any, Any]:
    """Row-major flat positions, int64, of column-major delta-coded ones, in the order stored.

    For the size (n, m) the stored position c stands for row c mod n and column c // n.

    Raises:
        ValueError: positions that do not increase, or that lie outside.
    """
    gaps = np.fromiter(steps, dtype=np.int64, count=len(steps))
    if len(gaps) and (gaps[0] < 0 or (gaps[1:] <= 0).any()):
        raise ValueError("positions that do not increase")
    if not len(gaps):
        return gaps
    coordinates = np.unravel_index(gaps.cumsum(dtype=np.int64), tuple(size), order="F")
    return np.ravel_multi_index(coordinates, tuple(size), order="C").astype(np.int64)


def _decode(name: str, encoding: Any, path: str | Path) -> SparseDifference:
    try:
        size, values = tuple(int(n) for n in encoding["size"]), encoding["values"]
        indices = torch.from_numpy(positions(encoding["index_steps"], size))
        if not isinstance(values, Tensor) or values.shape != indices.shape:
            raise ValueError("not one value for each position")
        if not values.is_floating_point() or not values.isfinite().all():
            raise ValueError("values that are not finite numbers")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModuleError(
            f"{path} is broken at '{name}': {error}.\nFetch it again, or do not use it."
        ) from error
    order = indices.argsort()
    return SparseDifference(size, indices[order], values[order])


def _encode(difference: SparseDifference) -> dict[str, Any]:
    shape = tuple(difference.shape)
    coordinates = np.unravel_index(difference.indices.cpu().numpy(), shape, order="C")
    places = np.ravel_multi_index(coordinates, shape, order="F").astype(np.int64)
    order = np.argsort(places, kind="stable")
    steps: list[Any] = np.diff(places[order], prepend=0).tolist()
    return {
        "size": torch.Size(shape),
        "index_steps": steps,
        "values": difference.values.cpu()[torch.from_numpy(order)],
    }
