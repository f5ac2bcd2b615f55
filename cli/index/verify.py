"""polyrank index verify."""

from __future__ import annotations

import json
from dataclasses import asdict

from polyrank.errors import DataError

from ..options import AsJson
from .options import Folder


def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Read every file of an index and check its sha256; exit code 2 when one is wrong.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en
      polyrank index verify articles
    """
    from polyrank.index.multivector import verify as verify_index

    found = verify_index(folder)
    if as_json:
        print(json.dumps(asdict(found)))
    if found.problems:
        listed = "\n".join(f"  - {problem}" for problem in found.problems)
        raise DataError(
            folder, None, f"is damaged:\n{listed}\nRestore it from a copy, or rebuild it."
        )
    if not as_json:
        print(f"{found.files} files, {found.bytes} bytes: all as the manifest says")
