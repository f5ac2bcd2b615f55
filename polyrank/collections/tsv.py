"""Tab-separated documents and queries: `id <tab> text` or `id <tab> title <tab> text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from polyrank.collections.files import numbered_lines
from polyrank.collections.jsonl import ID, TEXT
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError
from polyrank.languages.tags import normalise

_IDS = {*ID, "docno", "pid", "did"}
_TEXTS = {*TEXT, "query", "passage", "body", "document"}


def iter_documents(path: str | Path, language: str | None = None) -> Iterator[Document]:
    """Documents of a table: two columns, or three with the title between; or in the order that a
    header names (`id text title`, `pid passage`).

    Raises:
        DataError: for another number of columns, an empty id, or an id that occurs twice.
    """
    tag = normalise(language) if language else None
    for identity, title, text in _rows(path, widths=(2, 3)):
        yield Document(identity, text, title, tag)


def iter_queries(path: str | Path, language: str | None = None) -> Iterator[Query]:
    """Queries of a two-column table; a header and errors as for `iter_documents`."""
    tag = normalise(language) if language else None
    return (Query(identity, text, tag) for identity, _, text in _rows(path, widths=(2,)))


def _rows(path: str | Path, widths: tuple[int, ...]) -> Iterator[tuple[str, str, str]]:
    """Id, title and text of each line."""
    first: dict[str, int] = {}
    places: tuple[int, int | None, int] | None = None
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if len(cells) not in widths:
            wanted = " or ".join(map(str, widths))
            raise DataError(path, number, f"{len(cells)} columns between tabs, expected {wanted}")
        if number == 1 and (places := _header(cells)) is not None:
            continue
        identity, title, text = places or (0, 1 if len(cells) == 3 else None, -1)
        name = cells[identity]
        if not name.strip():
            raise DataError(path, number, "an empty id")
        if first.setdefault(name, number) != number:
            raise DataError(path, number, f"the id {name!r} is already on line {first[name]}")
        yield name, "" if title is None else cells[title], cells[text]
    if not first:
        raise DataError(path, None, "a header without lines")


def _header(cells: list[str]) -> tuple[int, int | None, int] | None:
    """Where id, title and text stand, if a first line names them and nothing else."""
    names = [cell.strip().lower() for cell in cells]
    ids = [place for place, name in enumerate(names) if name in _IDS]
    texts = [place for place, name in enumerate(names) if name in _TEXTS]
    titles = [place for place, name in enumerate(names) if name == "title"]
    if len(ids) != 1 or len(texts) != 1 or len(ids + texts + titles) != len(cells):
        return None
    return ids[0], titles[0] if titles else None, texts[0]
