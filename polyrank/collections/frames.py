"""Queries and documents of a data frame, without importing pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame


def is_frame(source: object) -> bool:
    """Whether it is a pandas frame (or one of a library that is like it)."""
    return type(source).__name__ == "DataFrame" and hasattr(source, "columns")


def columns(frame: DataFrame, *names: str) -> list[list[Any]]:
    """The values of columns.

    Raises:
        UsageError: naming the column that is not there.
    """
    for name in names:
        if name not in frame.columns:
            there = ", ".join(map(str, frame.columns)) or "none"
            raise UsageError(f"the data frame has no column '{name}'; its columns: {there}")
    return [list(frame[name]) for name in names]


def frame_queries(frame: DataFrame) -> list[dict[str, Any]]:
    """Every distinct query of a frame, which may have a row per candidate, as mappings."""
    rows = zip(*columns(frame, "qid", "query"), _optional(frame, "query_language"), strict=True)
    return [
        {"id": identity, "text": text, "language": language}
        for identity, text, language in _distinct(rows)
    ]


def frame_documents(frame: DataFrame) -> list[dict[str, Any]]:
    """Every distinct document of a frame, as mappings."""
    optional = (_optional(frame, name) for name in ("title", "document_language"))
    rows = zip(*columns(frame, "docno", "text"), *optional, strict=True)
    return [
        {"id": identity, "text": text, "title": title, "language": language}
        for identity, text, title, language in _distinct(rows)
    ]


def _distinct(rows: Any) -> list[Any]:
    try:
        return list(dict.fromkeys(rows))
    except TypeError as error:  # a list in a cell
        raise UsageError(f"the data frame has cells that are no texts ({error})") from None


def _optional(frame: DataFrame, name: str) -> list[str | None]:
    """A column of texts; None where it has no value, and everywhere when it is not there."""
    if name not in frame.columns:
        return [None] * len(frame)
    return [value if isinstance(value, str) and value else None for value in frame[name]]
