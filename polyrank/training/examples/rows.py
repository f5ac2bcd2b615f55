"""Training rows, whoever's form they have: recognised by their first line, or named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from polyrank.collections.files import numbered_lines
from polyrank.collections.records import Document
from polyrank.collections.text_files import read_documents, read_queries
from polyrank.errors import DataError, UsageError
from polyrank.training.examples.foreign_rows import (
    Gathered,
    flagembedding,
    hugging_face,
    margin_tsv,
    tevatron,
)
from polyrank.training.examples.forms import FORMS
from polyrank.training.examples.negatives import Example, read_examples


def read_rows(
    rows: str | Path,
    passages: str | Path | None = None,
    form: str = "auto",
    texts: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    language: str | None = None,
    teacher: bool = False,
) -> tuple[list[Example], dict[str, Document]]:
    """Examples and passages of a file of training rows.

    Args:
        rows: the file; with 'datasets' also a folder or a name of the Hub.
        passages: JSON lines of `_id`, `title`, `text`, or a .tsv; needed unless the rows carry
            their texts, and then further passages that negatives may be mined from.
        form: one of `FORMS`; 'auto' tells it from the first line, and is 'datasets' with `columns`.
        texts: of 'margin-tsv', the queries: .tsv or JSON lines.
        columns: of 'datasets', our column → theirs.
        teacher: whether every row must have teacher scores.

    Raises:
        UsageError: an unknown form, or files that it needs and that are not given.
        DataError: a malformed row, or one that names an absent passage, with its place.
    """
    if form == "auto":
        form = "datasets" if columns or not Path(rows).is_file() else recognised(Path(rows))
    if form not in FORMS:
        raise UsageError(f"unknown form of rows '{form}'; use one of {', '.join(FORMS)}")
    if columns and form != "datasets":
        raise UsageError(f"--columns are of rows of 'datasets', not of '{form}'")
    if texts is not None and form != "margin-tsv":
        raise UsageError(f"--query-texts are of rows of 'margin-tsv', not of '{form}'")
    if passages is None and form in ("polyrank", "margin-tsv"):
        raise UsageError(f"rows of the form '{form}' name passages by id; give --passages")
    further: dict[str, Document] = {}
    if passages is not None:
        further = read_documents(passages, language)
    if form == "polyrank":
        return read_examples(rows, further, teacher), further
    found = _foreign(Path(rows) if form != "datasets" else rows, form, texts, columns, language)
    for example in found.examples.values():
        if teacher and example.teacher is None:
            raise DataError(
                rows, None, f"'{example.query.id}' has no scores, which the loss needs; or a "
                "--teacher"
            )  # fmt: skip
        for name in example.candidates if form == "margin-tsv" else ():
            if name not in further:
                raise DataError(rows, None, f"'{name}' is not among the passages")
    for name, passage in further.items():
        if found.passages.setdefault(name, passage).text != passage.text:
            raise DataError(passages or rows, None, f"'{name}' has another text in {rows}")
    return list(found.examples.values()), found.passages


def existing(*paths: str | Path | None) -> list[Path]:
    """The files among these: a dataset may be a folder, or a name of the Hub."""
    found = [Path(path) for path in paths if path is not None]
    inside = [one for path in found if path.is_dir() for one in sorted(path.rglob("*"))]
    return [path for path in (*found, *inside) if path.is_file()]


def recognised(path: Path) -> str:
    """The form of a file by its first line.

    Raises:
        DataError: a line that is of no form that there is.
    """
    if path.suffix in (".parquet", ".csv"):
        return "datasets"
    number, line = next(iter(numbered_lines(path)))
    cells = line.split("\t")
    if len(cells) == 5 and not line.lstrip().startswith("{"):
        return "margin-tsv"
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise DataError(
            path, number, f"no training row; name the form with --rows: {', '.join(FORMS)}"
        )
    if "positive_passages" in row:
        return "tevatron"
    if "query" in row and "pos" in row and "_id" not in row:
        return "flagembedding"
    return "polyrank"  # whose reader says what is missing


def _foreign(
    rows: str | Path,
    form: str,
    texts: str | Path | None,
    columns: Mapping[str, str] | None,
    language: str | None,
) -> Gathered:
    if form == "datasets":
        return hugging_face(rows, columns or {}, language)
    if form == "margin-tsv":
        if texts is None:
            raise UsageError("rows of the form 'margin-tsv' name queries by id; give --query-texts")
        return margin_tsv(Path(rows), read_queries(texts, language))
    return {"flagembedding": flagembedding, "tevatron": tevatron}[form](Path(rows), language)
