"""Where zoos lie: the folders that hold `<base>/…`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TypeVar

from polyrank.errors import UsageError

Made = TypeVar("Made")


def expanded(path: str | Path) -> Path:
    """The path with `~` as the home directory; left as it is where there is no such home."""
    return Path(os.path.expanduser(path))


def zoo_roots(zoo: str | Path | None = None) -> list[Path]:
    """The folders that hold `<base>/…`: `zoo`, then `$POLYRANK_ZOO`, then what is bundled.

    Raises:
        UsageError: POLYRANK_ZOO names what is not a folder.
    """
    if absent := absent_zoos():
        raise UsageError(
            f"POLYRANK_ZOO names {absent}: no such folder.\n"
            "Make it, or name the folders where your modules are."
        )
    roots = [*([Path(zoo)] if zoo else []), *_named_zoos()]
    if (bundled := bundled_zoo()) is not None:
        roots.append(bundled)
    return roots


def absent_zoos() -> str:
    """The folders that $POLYRANK_ZOO names and that are not there, in quotes; else nothing."""
    return ", ".join(f"'{folder}'" for folder in _named_zoos() if not folder.is_dir())


def with_zoos_of_here(build: Callable[[], Made]) -> Callable[[], Made]:
    """The same function for another process or machine, where it searches this process's zoos."""
    named = os.environ.get("POLYRANK_ZOO")

    def there() -> Made:
        if named is not None:
            os.environ["POLYRANK_ZOO"] = named
        return build()

    return there


def _named_zoos() -> list[Path]:
    searched = os.environ.get("POLYRANK_ZOO", "").split(os.pathsep)
    return [expanded(folder) for folder in searched if folder]


def bundled_zoo() -> Path | None:
    """The folder of what is bundled; None in a bare source tree that was not installed."""
    with suppress(ModuleNotFoundError):
        return Path(str(resources.files("polyrank.adapters_zoo")))
    return None


def cache_root() -> Path:
    """Where polyrank keeps what it made or pulled: `$POLYRANK_CACHE`, by default
    `~/.cache/polyrank`.

    Raises:
        UsageError: neither a variable nor a home directory says where, or it is not a folder.
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = expanded(os.environ.get("POLYRANK_CACHE") or f"{home}/polyrank")
    if folder.parts[:1] and folder.parts[0].startswith("~"):
        raise UsageError(
            "no home directory to keep models and pulled modules in.\n"
            "Set POLYRANK_CACHE to a folder for them."
        )
    return folder
