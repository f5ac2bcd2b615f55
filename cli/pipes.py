"""Inputs that can be read once, such as <(zcat run.gz): copied to files while a verb runs.

Many verbs read an input twice: to check it, and to use it. So a pipe is copied first, into the
folder of temporary files ($TMPDIR), which needs room for it.
"""

from __future__ import annotations

import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from polyrank.errors import PolyrankError

GZIP = b"\x1f\x8b"


@contextmanager
def pipes_as_files(params: Mapping[str, Any], outputs: Collection[str]) -> Iterator[dict[str, Any]]:
    """The parameters of a verb, with a copy in place of each pipe that is read.

    Args:
        outputs: names of those that are written, which are left alone.
    """
    pipes = dict.fromkeys(
        pipe for name, value in params.items() if name not in outputs for pipe in _pipes_in(value)
    )
    if not pipes:
        yield dict(params)
        return
    with _ended_by_sigterm(), tempfile.TemporaryDirectory(prefix="polyrank-") as folder:
        copies = {
            pipe: str(_copied(Path(pipe), Path(folder) / str(number)))
            for number, pipe in enumerate(pipes)
        }
        try:
            yield {
                name: value if name in outputs else _replaced(value, copies)
                for name, value in params.items()
            }
        except PolyrankError as error:
            for given, copy in copies.items():  # the user knows it by the name that was given
                error.args = tuple(str(one).replace(copy, given) for one in error.args)
            raise


def _pipes_in(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else [value]:
        yield from (given for given in _files_named(one) if _is_pipe(given))


def _files_named(value: Any) -> list[str]:
    """What may be a file in a value: FILE, or of ky=FILE its second part."""
    if not isinstance(value, str | Path) or "\0" in str(value):
        return []
    return [given for given in (str(value), str(value).partition("=")[2]) if given]


def _replaced(value: Any, copies: Mapping[str, str]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_replaced(one, copies) for one in value)
    for given in _files_named(value):
        if given in copies:
            return type(value)(str(value).removesuffix(given) + copies[given])
    return value


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def _copied(pipe: Path, folder: Path) -> Path:
    """The copy, under the pipe's own name; with .gz, where that is what it holds."""
    folder.mkdir()
    copy = folder / pipe.name
    with open(pipe, "rb") as read, open(copy, "wb") as written:
        shutil.copyfileobj(read, written)
    with open(copy, "rb") as file:
        zipped = file.read(2) == GZIP
    return copy.rename(copy.with_name(f"{copy.name}.gz")) if zipped and not pipe.suffix else copy


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the process as an exit does, so that copies are removed."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
