"""How a masked-language head is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HeadRecipe:
    """The options of `train_head`, which explains them."""

    base: str
    text: str | Path | Sequence[str | Path]
    steps: int = 600
    batch_size: int = 32
    length: int = 96
    rate: float = 2e-3
    seed: int = 13
