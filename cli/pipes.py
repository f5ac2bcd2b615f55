"""Inputs that can be read once, such as <(zcat run.gz): kept as files while a verb runs.

Many verbs read an input twice, once to check it, or tell what it holds by its name. A copy has both
its content for as often as it is read and an ending that says what it is.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyrank.errors import PolyrankError

GZIP = b"\x1f\x8b"


@contextmanager
def kept(params: Mapping[str, Any], outputs: Collection[str]) -> Iterator[dict[str, Any]]:
    """The parameters of a verb, with a copy in place of each pipe that is read.

    Args:
        outputs: names of those that are written, which are left alone.
    """
    copies: dict[str, str] = {}  # what was given → its copy
    with tempfile.TemporaryDirectory(prefix="polyrank-") as folder:
        found = {
            name: value if name in outputs else _replaced(value, Path(folder), copies)
            for name, value in params.items()
        }
        try:
            yield found
        except PolyrankError as error:
            for given, copy in copies.items():  # the user knows it by the name that was given
                error.args = tuple(str(one).replace(copy, given) for one in error.args)
            raise


def _replaced(value: Any, folder: Path, copies: dict[str, str]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_replaced(one, folder, copies) for one in value)
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        return value
    for given in (str(value), str(value).partition("=")[2]):  # a file, or ky=FILE
        if given and _is_pipe(given):
            if given not in copies:
                copies[given] = str(_copied(Path(given), folder / str(len(copies))))
            return type(value)(str(value).removesuffix(given) + copies[given])
    return value


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def _copied(pipe: Path, folder: Path) -> Path:
    """The copy; its name ends as those of its content do."""
    folder.mkdir()
    copy = folder / pipe.name
    with open(pipe, "rb") as read, open(copy, "wb") as written:
        shutil.copyfileobj(read, written)
    if pipe.suffix:  # a named pipe says what it carries
        return copy
    return copy.rename(copy.with_name(copy.name + _ending(copy)))


def _ending(path: Path) -> str:
    import gzip

    with open(path, "rb") as file:
        zipped = file.read(2) == GZIP
    try:
        with gzip.open(path, "rb") if zipped else open(path, "rb") as lines:
            first = next((line for line in lines if line.strip()), b"")
    except (OSError, EOFError):
        first = b""  # what is wrong with it is said by who reads it
    first = first.removeprefix(b"\xef\xbb\xbf").lstrip(b" ")
    form = ".jsonl" if first.startswith((b"{", b"[")) else ".tsv" if b"\t" in first else ""
    return form + (".gz" if zipped else "")
