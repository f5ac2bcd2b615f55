"""Tab-separated documents and queries: `id <tab> text` or `id <tab> title <tab> text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from polyrank.collections.files import numbered_lines
from polyrank.collections.jsonl import ID, TEXT
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError
from polyrank.languages.tags import normalise

_HEADERS = {(identity, text) for identity in ID for text in (*TEXT, "query")}


def iter_documents(path: str | Path, language: str | None = None) -> Iterator[Document]:
    """Documents of a table without header: two columns, or three with the title between.

    Raises:
        DataError: for a header, another number of columns, an empty id, or an id that occurs
            twice.
    """
    tag = normalise(language) if language else None
    for cells in _rows(path, widths=(2, 3)):
        title = cells[1] if len(cells) == 3 else ""
        yield Document(cells[0], cells[-1], title, tag)


def iter_queries(path: str | Path, language: str | None = None) -> Iterator[Query]:
    """Queries of a two-column table without header; errors as for `iter_documents`."""
    tag = normalise(language) if language else None
    return (Query(identity, text, tag) for identity, text in _rows(path, widths=(2,)))


def _rows(path: str | Path, widths: tuple[int, ...]) -> Iterator[list[str]]:
    first: dict[str, int] = {}
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if len(cells) not in widths:
            wanted = " or ".join(map(str, widths))
            raise DataError(path, number, f"{len(cells)} columns between tabs, expected {wanted}")
        if not cells[0].strip():
            raise DataError(path, number, "an empty id")
        if number == 1 and (cells[0].strip(), cells[-1].strip()) in _HEADERS:
            reason = f"a header ({', '.join(cells)}), where the first text is expected; remove it"
            raise DataError(path, number, reason)
        if first.setdefault(cells[0], number) != number:
            raise DataError(
                path, number, f"the id {cells[0]!r} is already on line {first[cells[0]]}"
            )
        yield cells
