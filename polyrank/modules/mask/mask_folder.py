"""Masks on disk: `mask.safetensors` and `polyrank.json` in a module folder.

Per changed tensor of the encoder the file holds `<name>.steps` and `<name>.values`. The positions
(flat, row-major, increasing) are stored as the gaps between them, a byte each where they fit: of a
gap g, g // 255 bytes of 255 and then one of g % 255; the first gap counts from position -1. That is
about 3 bytes a coordinate with fp16 values, where int64 positions would take 10. A file with
`<name>.indices` (int64 positions) in place of the steps is read too. A ranking mask's head is
stored densely as `head.<number>.weight` and `head.<number>.bias`. The metadata's only entry,
`mask`, is JSON: the `shapes` of the changed tensors and the head's `activation` (one entry, since
the order of several is not fixed and the same mask is to be the same bytes).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from polyrank.errors import ModuleError
from polyrank.kernels.activations import ACTIVATIONS
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import ModuleCard, read_card, write_card
from polyrank.modules.folder import replaced
from polyrank.modules.kind import Loaded
from polyrank.modules.mask.sparse import Differences, SparseDifference, count

MASK_FILE = "mask.safetensors"
_HEAD = "head."
_HEAD_TENSOR = re.compile(r"head\.([0-9])\.(weight|bias)")
_FULL = 255  # a step of this size only moves on
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, eq=False)
class MaskModule:
    """A mask as plain tensors.

    Attributes:
        name: of the module.
        differences: by the tensor's name within the plain encoder.
        head: the ranking head in fp32, if any.
        card: None for a mask that was never in a zoo.
    """

    name: str
    differences: Differences
    head: Head | None = None
    card: ModuleCard | None = None

    def __len__(self) -> int:
        """How many coordinates it changes, its head apart."""
        return count(self.differences)


def save_mask_module(
    differences: Differences,
    folder: str | Path,
    card: ModuleCard,
    head: Head | None = None,
    dtype: torch.dtype = torch.float16,
) -> ModuleCard:
    """Write a mask as a module folder, aside and then renamed.

    Args:
        differences: by the tensor's name; tensors without a changed coordinate are left out.
        folder: where to; an existing module there is replaced, anything else is left alone.
        card: without `files`, which are filled in.
        head: of a ranking mask.
        dtype: of the stored values and of the head; a value too small for it becomes 0.

    Returns:
        The card as written.

    Raises:
        ModuleError: indices that do not increase, values that are not finite numbers in `dtype`, or
            a folder that holds something else.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    shapes = {}
    for name, difference in differences.items():
        if len(difference.indices):
            values = difference.values.to("cpu", dtype)
            stored = SparseDifference(difference.shape, difference.indices.cpu(), values)
            _check(name, stored, folder)
            tensors[f"{name}.steps"] = steps_of(stored.indices)
            tensors[f"{name}.values"] = values
            shapes[name] = list(difference.shape)
    about: dict[str, Any] = {"shapes": shapes}
    if head is not None:
        about["activation"] = head.activation
        for number, (weight, bias) in enumerate(head.layers):
            tensors[f"{_HEAD}{number}.weight"] = weight.to("cpu", dtype)
            if bias is not None:
                tensors[f"{_HEAD}{number}.bias"] = bias.to("cpu", dtype)
    with replaced(folder) as temporary:
        save_file(
            {k: v.contiguous() for k, v in tensors.items()},
            temporary / MASK_FILE,
            {"mask": json.dumps(about)},
        )
        read_mask(temporary / MASK_FILE)  # refuse now what could not be read later
        return write_card(temporary, card)


def load_mask_module(folder: str | Path) -> MaskModule:
    """Read and verify a mask module.

    Raises:
        ModuleError: no card, another kind, an altered file, or a file that is not a mask.
    """
    card = read_card(folder)
    if card.kind != "mask":
        raise ModuleError(
            f"'{card.full_name}' is a {card.kind}, not a mask.\nUse it with kind='{card.kind}'."
        )
    differences, head = read_mask(Path(folder) / MASK_FILE)
    return MaskModule(card.name, differences, head, card)


def loaded(folder: str | Path) -> Loaded:
    """A mask module as an encoder takes it; see `load_mask_module`."""
    module = load_mask_module(folder)
    return Loaded(module.head, differences=module.differences)


def read_mask(path: str | Path) -> tuple[dict[str, SparseDifference], Head | None]:
    """The differences and the head in a `mask.safetensors`. Whatever the file holds, no code runs.

    Raises:
        ModuleError: a file that is missing, unreadable, or no mask.
    """
    tensors, about = _read(path)
    shapes = about["shapes"]
    activation = about.get("activation")
    parts = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_HEAD)}
    head = _head(parts, activation, path) if parts else None
    differences = {n: _difference(n, tuple(s), tensors, path) for n, s in shapes.items()}
    if tensors:
        _refuse(path, f"it holds the tensor '{sorted(tensors)[0]}', which is not part of a mask")
    return differences, head


def steps_of(indices: Tensor) -> Tensor:
    """Increasing positions, (k,) int64, as gaps of a byte or more, uint8; see the top."""
    gaps = indices.diff(prepend=torch.tensor([-1]))
    whole = gaps // _FULL
    steps = torch.full((int(whole.sum()) + len(gaps),), _FULL, dtype=torch.uint8)
    steps[(whole + 1).cumsum(0) - 1] = (gaps % _FULL).to(torch.uint8)
    return steps


def indices_of(steps: Tensor) -> Tensor:
    """The positions that `steps_of` was given."""
    return steps.long().cumsum(0)[steps != _FULL] - 1


# --- what may be wrong with a file ---------------------------------------------------------------


def _refuse(where: str | Path, reason: str) -> NoReturn:
    raise ModuleError(
        f"the mask in '{where}' is broken: {reason}.\nFetch or train the module again."
    )


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, and what the metadata says of them, with shapes that can be."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
            about = json.loads((file.metadata() or {}).get("mask", "null"))
    except (ValueError, RecursionError):
        about = None
    except Exception as error:  # the reader has many kinds; all mean: no such tensors here
        reason = str(error).strip() or type(error).__name__
        raise ModuleError(
            f"{path} is not a mask, it cannot be read as safetensors: {reason}.\n"
            "Fetch or train the module again."
        ) from error
    shapes = about.get("shapes") if isinstance(about, dict) else None
    if not isinstance(shapes, dict) or not all(map(_is_shape, shapes.values())):
        _refuse(path, "its metadata names no shapes of tensors")
    return tensors, about


def _is_shape(value: Any) -> bool:
    sizes = value if isinstance(value, list) else [-1]
    return all(type(n) is int and n >= 0 for n in sizes) and math.prod(sizes) < 2**63


def _difference(
    name: str, shape: tuple[int, ...], tensors: dict[str, Tensor], path: str | Path
) -> SparseDifference:
    values, steps = tensors.pop(f"{name}.values", None), tensors.pop(f"{name}.steps", None)
    indices = tensors.pop(f"{name}.indices", None) if steps is None else _positions(steps)
    if values is None or indices is None:
        _refuse(path, f"'{name}' lacks its positions or its values")
    difference = SparseDifference(shape, indices, values)
    _check(name, difference, path)
    return difference


def _positions(steps: Tensor) -> Tensor | None:
    whole = steps.dtype == torch.uint8 and steps.ndim == 1
    if not whole or (len(steps) and steps[-1] == _FULL):  # the last gap has no end
        return None
    return indices_of(steps)


def _check(name: str, difference: SparseDifference, where: str | Path) -> None:
    indices, values = difference.indices, difference.values
    size = math.prod(difference.shape)
    if indices.dtype != torch.int64 or indices.ndim != 1 or indices.shape != values.shape:
        _refuse(where, f"'{name}' has not one value for each int64 position")
    if values.dtype not in _DTYPES or not values.isfinite().all():
        _refuse(where, f"'{name}' has values that are not finite {values.dtype} numbers")
    if difference.beyond(size) or not (indices[1:] > indices[:-1]).all():
        _refuse(where, f"'{name}' has positions that do not increase within its {size} coordinates")


def _head(tensors: Mapping[str, Tensor], activation: Any, path: str | Path) -> Head:
    """The linear maps of the head, each as wide as the one before it gives."""
    if not all(map(_HEAD_TENSOR.fullmatch, tensors)) or activation not in [None, *ACTIVATIONS]:
        _refuse(path, f"it holds no head, but {', '.join(sorted(tensors))} and '{activation}'")
    layers: list[tuple[Tensor, Tensor | None]] = []
    while f"{_HEAD}{len(layers)}.weight" in tensors:
        weight = tensors[f"{_HEAD}{len(layers)}.weight"]
        bias = tensors.get(f"{_HEAD}{len(layers)}.bias")
        width = layers[-1][0].shape[0] if layers else None
        if not _is_linear(weight, bias, width):
            _refuse(path, f"layer {len(layers)} of its head is not a linear map, or does not fit")
        layers.append((weight.float(), None if bias is None else bias.float()))
    if sum(1 + (bias is not None) for _, bias in layers) != len(tensors):
        _refuse(path, "a layer of its head is missing")
    return Head(tuple(layers), activation)


def _is_linear(weight: Tensor, bias: Tensor | None, width: int | None) -> bool:
    """A finite (out, in) weight of this width, and a bias (out,) if any."""
    parts = [weight] if bias is None else [weight, bias]
    return (
        weight.ndim == 2
        and 0 not in weight.shape
        and width in (None, weight.shape[1])
        and (bias is None or bias.shape == weight.shape[:1])
        and all(part.dtype in _DTYPES and bool(part.isfinite().all()) for part in parts)
    )
