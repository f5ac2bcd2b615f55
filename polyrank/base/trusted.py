"""Refuses a configuration that names code.

In transformers 4.56 to 5.2 the keys `_attn_implementation` and `_attn_implementation_internal` of a
config.json can name a repository whose code is then fetched and run (CVE-2026-4372). `auto_map` and
`custom_pipelines` name code, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polyrank.errors import ModuleError

NAMING_CODE = (
    "_attn_implementation",
    "_attn_implementation_internal",
    "_experts_implementation",
    "_experts_implementation_internal",
    "auto_map",
    "custom_pipelines",
)


def refuse_code(folder: str | Path) -> None:
    """Read every config file in a folder and refuse one that names code, at any depth.

    Raises:
        ModuleError: a key that names code, or a config.json that is not JSON.
    """
    for path in sorted(Path(folder).glob("*config.json")):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModuleError(
                f"'{path}' cannot be read: {error}\nGive a folder that save_pretrained wrote."
            ) from error
        for key, value in _naming(config):
            raise ModuleError(
                f"'{path}' is refused: its key '{key}' names code to run ({value!r}).\n"
                "Remove the key if you trust the rest of the checkpoint; polyrank runs no code "
                "from a checkpoint."
            )


def refuse_code_of(source: str, local_files_only: bool = False) -> None:
    """`refuse_code` of a folder, or of the config.json of a Hub id, before anything is loaded.

    Raises:
        ModuleError: as `refuse_code`.
        OSError: a Hub id whose config.json cannot be fetched.
    """
    if Path(source).is_dir():
        refuse_code(source)
        return
    from transformers.utils import cached_file

    path = cached_file(source, "config.json", local_files_only=local_files_only)
    if path is not None:
        refuse_code(Path(path).parent)


def _naming(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys that name code, with what they hold; attention by a plain name names none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            plain = inner is None or (isinstance(inner, str) and "/" not in inner)
            if key in NAMING_CODE and not (plain and key.startswith("_")):
                yield key, inner
            yield from _naming(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _naming(inner)
