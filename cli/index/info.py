"""polyrank index info."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from polyrank.progress import note, say

from ..options import AsJson
from .options import Folder


def info(folder: Folder, as_json: AsJson = False) -> None:
    """What is in an index, and in which state it is.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages sw --codec residual-4
      polyrank index info articles
    """
    from polyrank.index.multivector import MultiVectorIndex

    found = MultiVectorIndex(folder).info()
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
        return
    for name, value in asdict(found).items():
        say(f"{name}\t{_shown(value)}")
    if found.leftovers:
        note(f"{len(found.leftovers)} leftovers of a killed process; the next change removes them")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item or 'none'}" for name, item in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
