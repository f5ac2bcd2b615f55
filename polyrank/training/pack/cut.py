"""A base with its word embeddings cut to the pieces that some text uses.

A module that leaves the embeddings alone computes the same on it, since a text's vectors depend on
the rows of its own pieces only; with ids renumbered, nothing else of the base changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.base.packed import BLOCK, widen

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


class Renumbering:
    """Old ids to new ones, by falling use, so that small numbers are the frequent ones.

    Args:
        counts: (V,) how often each old id is used; ids with 0 are left out.
        special: old ids that come first, in this order, used or not.
    """

    def __init__(self, counts: np.ndarray, special: list[int]) -> None:
        ranked = np.argsort(-counts, kind="stable")
        used = [int(i) for i in ranked[: int((counts > 0).sum())] if int(i) not in set(special)]
        self.old = np.array([*special, *used], np.int64)  # new id → old id
        self.new = np.full(len(counts), -1, np.int64)
        self.new[self.old] = np.arange(len(self.old))

    def __call__(self, ids: Any) -> np.ndarray:
        renumbered = self.new[np.asarray(ids, np.int64)]
        if (renumbered < 0).any():
            raise ValueError("an id that was left out is used after all")
        return renumbered


def write_cut(encoder: Any, old: np.ndarray, folder: Path) -> None:
    """Write an encoder with the rows `old` of its word embeddings.

    Matrices whose values are exact in ggml's Q4_0, as those of `e5-small` are, are stored so: 4.5
    bits a weight; others in fp32.
    """
    config = encoder.config.to_dict() | {"vocab_size": len(old)}
    for key in ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in encoder.state_dict().items():
        if name.endswith("position_ids"):
            continue
        values = tensor.detach().cpu().numpy().astype(np.float32)
        if name == "embeddings.word_embeddings.weight":
            values = values[old]
        shapes[name] = list(values.shape)
        packed = narrow(values) if values.ndim == 2 and values.size % BLOCK == 0 else None
        arrays[f"q4:{name}" if packed is not None else f"f4:{name}"] = (
            values if packed is None else packed
        )
    np.savez(folder / "weights.npz", **arrays)  # type: ignore[arg-type]
    (folder / "shapes.json").write_text(json.dumps(shapes))


def read_cut(folder: Path) -> tuple[Any, dict[str, Tensor]]:
    """The configuration's values and the state dict that `write_cut` wrote."""
    shapes = json.loads((folder / "shapes.json").read_text())
    state = {}
    with np.load(folder / "weights.npz") as arrays:
        for key in arrays.files:
            form, name = key.split(":", 1)
            values = widen(arrays[key].tobytes()) if form == "q4" else arrays[key]
            state[name] = torch.from_numpy(values.reshape(shapes[name]).copy())
    return json.loads((folder / "config.json").read_text()), state


def narrow(values: np.ndarray) -> np.ndarray | None:
    """Values as Q4_0 blocks (blocks, 18) of bytes, or None where that would change one of them."""
    blocks = values.reshape(-1, BLOCK)
    scale = _scales(blocks)
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.where(scale != 0, np.rint(blocks / scale), 0.0) + 8
    if levels.min() < 0 or levels.max() > 15:
        return None
    levels = levels.astype(np.uint8)
    packed = levels[:, : BLOCK // 2] | levels[:, BLOCK // 2 :] << 4
    halves = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    stored = np.ascontiguousarray(np.concatenate([halves, packed], axis=1))
    return stored if np.array_equal(widen(stored.tobytes()), values.reshape(-1)) else None


def _scales(blocks: np.ndarray) -> np.ndarray:
    """d of each block, (blocks, 1): Q4_0 makes the value of largest magnitude −8 · d."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], axis=1)
    return (largest / -8).astype(np.float16).astype(np.float32)
