"""A table in JSON: an object on each line, or an array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polyrank.collections.files import numbered_lines, parse_json
from polyrank.collections.jsonl import iter_objects
from polyrank.errors import DataError


def json_table(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a file, each with every column that some row has; what a row lacks is None.

    pyarrow's reader, which the datasets library takes, ends the whole process at some damaged
    files.

    Raises:
        DataError: a file that cannot be read or has no rows, or a row that is no JSON object.
    """
    _, first = next(numbered_lines(path))
    rows = _of_array(path) if first.lstrip().startswith("[") else [r for _, r in iter_objects(path)]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{**columns, **row} for row in rows]


def _of_array(path: str | Path) -> list[dict[str, Any]]:
    try:
        rows = parse_json("".join(_lines(path)))
    except json.JSONDecodeError as error:
        raise DataError(path, error.lineno, f"not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(path, None, f"not JSON: {error}") from None
    if not rows:
        raise DataError(path, None, "an array without rows")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            reason = f"row {number} is a JSON {type(row).__name__}, where an object was expected"
            raise DataError(path, None, reason)
    return rows  # type: ignore[no-any-return]


def _lines(path: str | Path) -> Iterator[str]:
    """The lines of a file, with an empty one for each that is blank, so that numbers stay right."""
    before = 1
    for number, line in numbered_lines(path):
        yield "\n" * (number - before) + line
        before = number
