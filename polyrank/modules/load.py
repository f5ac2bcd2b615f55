"""Read a module of any kind. Needs no torch until one is read."""

from __future__ import annotations

from pathlib import Path

from polyrank.modules.card import read_card
from polyrank.modules.kind import Loaded
from polyrank.modules.kinds import KINDS


def load_module(folder: str | Path) -> Loaded:
    """A module, of the kind that its card says.

    Raises:
        ModuleError: a folder that is missing, altered or broken.
    """
    return KINDS[read_card(folder, verify=False).kind].load(folder)
