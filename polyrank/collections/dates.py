"""Dates of questions, as YYYY-MM-DD: what is novel to a model depends on them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from polyrank.errors import DataError


def iso_date(text: str) -> str:
    """A date as YYYY-MM-DD; of a month its first day.

    >>> iso_date("2025-04")
    '2025-04-01'

    Raises:
        ValueError: something else.
    """
    bare = text.strip()
    whole = f"{bare}-01" if len(bare) == len("2025-04") else bare[: len("2025-04-01")]
    return date.fromisoformat(whole).isoformat()


def checked_date(text: object, path: str | Path, number: int | None) -> str:
    """The same of a field in a file.

    Raises:
        DataError: no date, with its place.
    """
    try:
        if not isinstance(text, str):
            raise ValueError
        return iso_date(text)
    except ValueError:
        raise DataError(path, number, f"the date {text!r} is not YYYY-MM-DD") from None
