"""Tensors and JSON from a module's folder, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.errors import ModuleError


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of an adapter's folder."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModuleError(
            f"'{path.parent}' holds no adapter: {path.name} is missing.\nFetch or train it again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModuleError(f"{path} cannot be read: {error}.\nFetch or train it again.") from error
    if not isinstance(record, dict):
        raise ModuleError(f"{path} holds no JSON object.\nFetch or train the adapter again.")
    return record


def read_tensors(folder: Path, safe: str, pickled: str) -> dict[str, Tensor]:
    """Tensors from safetensors or, failing that, from a `.bin` by the loader that runs no code."""
    from safetensors.torch import load_file

    path = folder / safe if (folder / safe).is_file() else folder / pickled
    if not path.is_file():
        raise ModuleError(f"'{folder}' has neither {safe} nor {pickled}.\nFetch or train it again.")
    try:
        if path.name == safe:
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has its own kinds; all mean: not these tensors
        # torch's own words on a pickle advise to load it anyway; they are not repeated.
        reason = (
            str(error)
            if path.name == safe
            else "it is damaged, or a pickle that names more than tensors; nothing of it was run"
        )
        raise ModuleError(f"{path} cannot be read: {reason}\nFetch or train it again.") from None
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise ModuleError(f"{path} holds something other than tensors.\nDo not use it.")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModuleError(
                f"{path}: the tensor '{name}' holds values that are not finite.\n"
                "Do not use it; train it again, to the end."
            )
    return tensors
