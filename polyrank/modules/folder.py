"""Write a module folder in one step: a crash leaves the old module or the new one."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyrank.errors import ModuleError
from polyrank.locks import locked
from polyrank.modules.card import CARD_FILE

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def replaced(folder: str | Path) -> Iterator[Path]:
    """A temporary sibling to write into; on success it becomes `folder`, on failure it is removed.

    Raises:
        ModuleError: when `folder` is there and holds something other than a module.
        UsageError: when another process writes there.
    """
    target = Path(folder)
    with locked(target), _replaced(target) as temporary:
        yield temporary


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """The same for a folder that must not be there yet, or be empty.

    Raises:
        ModuleError: when it holds something, also a module.
        UsageError: when another process writes there.
    """
    target = Path(folder)
    with locked(target):
        refuse_existing(target, "give another output folder")
        with _replaced(target) as temporary:
            yield temporary


def refuse_existing(target: Path, advice: str) -> None:
    """Refuse to write over what is there.

    Raises:
        ModuleError: a file, or a folder that holds something.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ModuleError(f"'{target}' exists already; {advice}")


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    if target.exists() and not _replaceable(target):
        raise ModuleError(
            f"'{target}' exists and is not a polyrank module; not overwritten.\n"
            "Give another output folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        temporary.chmod(0o755)  # mkdtemp makes it private, a module is to be shared
        yield temporary
        for path in temporary.rglob("*"):  # some writers make their files private, too
            path.chmod(0o755 if path.is_dir() else 0o644)
        _swap_in(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / CARD_FILE).is_file() or not any(target.iterdir()))


def _swap_in(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
    elif not _exchange(temporary, target):  # then: two renames, with the old one kept until the end
        retired = target.parent / f"{temporary.name}.old"
        target.rename(retired)
        try:
            temporary.rename(target)
        except OSError:
            retired.rename(target)
            raise
        shutil.rmtree(retired, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths atomically where the system can (Linux renameat2); say whether it did."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0
