"""Lines of JSON objects that are appended while work goes on, and what a kill leaves at their end.

A kill may leave a last line that is cut. Readers leave it out; the one who appends removes it, and
only after every other line was read and is what it should be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from polyrank.collections.files import decoded, raw_lines

Row = TypeVar("Row")
Parse = Callable[[str, int], Row]  # of a line and its number, from 1; it raises a DataError


def appended(path: str | Path, parse: Parse[Row]) -> list[Row]:
    """The rows of a file without a last line that was cut; of an empty file, none.

    Raises:
        DataError: a file that cannot be read, or what `parse` raises.
    """
    return _read(path, parse)[0]


def mended(path: str | Path, parse: Parse[Row]) -> list[Row]:
    """The rows, after which the file ends where the next line may begin.

    A cut last line is removed, and a whole one gets its line end. Call it under the file's lock.

    Raises:
        DataError: as `appended` does; the file is then as it was.
    """
    rows, last, cut = _read(path, parse)
    if last and not last.endswith(b"\n"):
        with open(path, "r+b") as file:
            end = file.seek(0, 2)
            if cut:
                file.truncate(end - len(last))
            else:
                file.write(b"\n")
    return rows


def _read(path: str | Path, parse: Parse[Row]) -> tuple[list[Row], bytes, bool]:
    """The rows, the last line, and whether that is cut."""
    rows, raw, cut = [], b"", False
    for number, raw in raw_lines(path):
        cut = _is_cut(raw)
        line = "" if cut else decoded(raw, path, number)
        if line.strip():
            rows.append(parse(line, number))
    return rows, raw, cut


def _is_cut(raw: bytes) -> bool:
    """Whether bytes are the beginning of an object, without its end and a line end."""
    if raw.endswith(b"\n") or not raw.startswith(b"{"):
        return False
    try:
        json.loads(raw)
    except ValueError:  # or half a character
        return True
    return False
