"""A ranking module of any kind, as an encoder runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.encoders.masked import Masks
from polyrank.modules.adapter.tensors import AdapterModule, Head
from polyrank.modules.kinds import KINDS


@dataclass(frozen=True, eq=False)
class RankingModule:
    """A ranking module in parts, and how a composition names it.

    Attributes:
        kind: of the module; of none at all, of the language modules.
        name: for compositions; None where there is none, or where it is the encoder itself.
        head: of a cross-encoder.
        encoder: that runs in place of the base's.
        adapter: over the language modules of every token.
        masks: its folder, where it acts on the weights.
    """

    kind: str
    name: str | None = None
    head: Head | None = None
    encoder: Any = None
    adapter: AdapterModule | None = None
    masks: Masks = ()


def ranking_module(kind: str, folder: Path, name: str | None = None) -> RankingModule:
    """Read a ranking module.

    Raises:
        ModuleError: one that is missing, broken, or of another kind.
    """
    row, module = KINDS[kind], KINDS[kind].load(folder)
    return RankingModule(
        kind,
        None if row.acts == "model" else name,
        module.head,
        module.encoder,
        module.adapter,
        (folder,) if row.acts == "weights" else (),
    )
