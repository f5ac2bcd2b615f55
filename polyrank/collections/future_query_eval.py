"""FutureQueryEval (Abdallah et al. 2025, arXiv 2508.16757): questions on events after April 2025.

A folder with `queries.csv`, `corpus.tsv` and `qrels.txt`, as published on the Hugging Face Hub
(abdoelsayed/FutureQueryEval). The two tables have a header; columns are found by their usual names.
A question's date is its own where the table has a column for it, else the earliest it can be.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from polyrank.collections.beir import without_missing
from polyrank.collections.cards import CollectionCard
from polyrank.collections.collection_source import (
    Need,
    Pairs,
    Selection,
    Source,
    counted,
    folder_needs,
    starts_with,
)
from polyrank.collections.dates import checked_date
from polyrank.collections.files import numbered_lines
from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.collections.trec import read_qrels
from polyrank.errors import DataError

PREFIX = "futurequeryeval:"
EARLIEST = "2025-05-01"  # "events after April 2025"

ID = ("query_id", "qid", "doc_id", "docid", "pid", "id", "_id")
QUERY = ("query_text", "query", "text", "question")
TEXT = ("text", "doc_text", "content", "contents", "passage", "document")
DATE = ("date", "query_date", "event_date")


def read_future_query_eval(selection: Selection) -> Collection:
    """All of the folder: one split, in English.

    Raises:
        DataError: a missing or malformed file, a table without the columns, or judgements of
            unknown ids.
    """
    selection.without_split()
    folder = _folder(selection.name)
    documents = {
        row.id: Document(row.id, row.text, row.title, "en")
        for row in _rows(folder / "corpus.tsv", "\t", TEXT)
    }
    queries = {
        row.id: Query(row.id, row.text, "en", row.date or EARLIEST)
        for row in _rows(folder / "queries.csv", ",", QUERY)
    }
    qrels = read_qrels(folder / "qrels.txt")
    for judgement in qrels:
        if judgement.query_id not in queries:
            raise DataError(
                folder / "qrels.txt", None, f"query {judgement.query_id} is not in queries.csv"
            )
    qrels, notes = without_missing(qrels, documents, folder / "qrels.txt", selection.missing_judged)
    judged = {judgement.query_id for judgement in qrels}
    asked = dict(islice(((i, q) for i, q in queries.items() if i in judged), selection.limit))
    kept = [j for j in qrels if j.query_id in asked]
    return Collection(selection.name, documents, asked, kept, notes=notes)


class _Row:
    """A line of a table: what the columns by these names hold."""

    def __init__(self, cells: Mapping[str, str], texts: tuple[str, ...]) -> None:
        self.id = _cell(cells, ID)
        self.text = _cell(cells, texts)
        self.title = cells.get("title") or ""
        self.date = next((cells[name] for name in DATE if cells.get(name)), None)


def _cell(cells: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        if (value := cells.get(name)) is not None:
            return value
    raise KeyError(names[0])


def _rows(path: Path, separator: str, texts: tuple[str, ...]) -> Iterator[_Row]:
    """The rows of a table with a header; an id that stands twice is an error."""
    if not path.is_file():
        raise DataError(path.parent, None, f"no {path.name} in this folder")
    text = "\n".join(line for _, line in numbered_lines(path))
    quoted = separator == ","  # a quote in a .tsv is a quote
    table = csv.reader(
        io.StringIO(text), delimiter=separator, strict=True,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )  # fmt: skip
    seen: set[str] = set()
    try:
        head = [name.strip().lower() for name in next(table, [])]
        for cells in table:
            if len(cells) != len(head):
                raise DataError(
                    path, table.line_num, f"{len(cells)} cells; the header has {len(head)}"
                )
            row = _Row(dict(zip(head, cells, strict=True)), texts)
            if not row.id.strip() or row.id in seen:
                raise DataError(
                    path, table.line_num, f"the id {row.id!r} is empty or stands there twice"
                )
            seen.add(row.id)
            if row.date is not None:
                row.date = checked_date(row.date, path, table.line_num)
            yield row
    except KeyError as error:
        raise DataError(
            path, 1, f"no column {error} or of the like; the header is {', '.join(head) or 'empty'}"
        ) from error
    except csv.Error as error:
        raise DataError(path, table.line_num, f"not a table: {error}") from error


def _folder(name: str) -> Path:
    return Path(name.removeprefix(PREFIX)).expanduser()


def _judgements(selection: Selection) -> list[Judgement]:
    return read_qrels(_folder(selection.name) / "qrels.txt")


def _needs(name: str, pairs: Pairs) -> list[Need]:
    return folder_needs(_folder(name))


def _counts(name: str) -> dict[str, Any] | None:
    return None if _needs(name, ()) else counted(read_future_query_eval(Selection(name)))


CARD = CollectionCard(
    f"{PREFIX}FOLDER", "FutureQueryEval: questions on events after April 2025", "futurequeryeval",
    ("en",), ("en",), (148, 2787), "Apache-2.0",
    "https://huggingface.co/datasets/abdoelsayed/FutureQueryEval", 1_100_000, "all",
    "test", "Abdallah et al. 2025, arXiv 2508.16757",
    "hf download abdoelsayed/FutureQueryEval --repo-type dataset --local-dir FOLDER",
    f"polyrank search --collection {PREFIX}FOLDER --no-rerank --limit 5",
)  # fmt: skip
SOURCE = Source(
    "futurequeryeval",
    (f"{PREFIX}FOLDER",),
    (CARD,),
    takes=starts_with(PREFIX),
    read=read_future_query_eval,
    judgements=_judgements,
    needs=_needs,
    counts=_counts,
)
