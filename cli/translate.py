"""polyrank translate: rows of JSON lines in another language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from polyrank.errors import DataError, UsageError
from polyrank.progress import note

from . import checks, options, translating
from .choices import Choice


class What(Choice, names=("queries", "documents")):
    """Of a collection."""


def translate(
    context: typer.Context,
    translator: Annotated[
        str,
        typer.Option(
            help="An http(s) address that speaks LibreTranslate's protocol, a sequence-to-sequence "
            "model's folder or Hub id, memory:FILE, parallel:COLLECTION or lexicon:COLLECTION."
        ),
    ],
    source: Annotated[str, typer.Option(help="Language of the rows, such as tr.")],
    target: Annotated[str, typer.Option(help="Language to translate into, such as en.")],
    input_: Annotated[
        Path | None, typer.Option("--input", help="JSON lines; a field 'spans' is kept in step.")
    ] = None,
    collection: options.CollectionName = None,
    what: Annotated[
        What, typer.Option(help="With --collection: which of its texts.")
    ] = What.queries,
    output: Annotated[Path, typer.Option(help="JSON lines; '-' is standard output.")] = Path("-"),
    failed: Annotated[
        Path | None,
        typer.Option(help="Rows whose spans did not come back, with what did and the reason."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", help="A field to translate, several times; else title and text."),
    ] = None,
    marked: Annotated[str, typer.Option(help="The field that 'spans' are in.")] = "text",
    back: Annotated[
        bool, typer.Option("--back", help="Translate back again, and keep that.")
    ] = False,
    memory: options.Memory = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many rows.", min=1)] = None,
) -> None:
    """Translate rows: queries, documents, training data, with marked spans (MultiTACRED).

    A row is a JSON object; what is not translated stays. 'spans' are pairs of characters of one
    field: they are marked in the text, and read back from the translation. A row whose markers are
    lost, doubled, crossed or out of order goes to --failed, and the exit code stays 0; without
    --failed it stops the command.

    \b
    Examples:
      polyrank translate --collection xquad --source tr --target en --limit 3 \\
          --translator parallel:xquad
      printf '%s\\n' '{"_id":"1","text":"Ankara büyük bir şehir","spans":[[0,6]]}' > rows.jsonl
      polyrank translate --input rows.jsonl --source tr --target en \\
          --translator lexicon:ntrex --failed failed.jsonl
    """
    from polyrank.collections.files import writing
    from polyrank.languages.tags import normalise
    from polyrank.translation.rows import FIELDS, Failed, RowTranslation

    if (input_ is None) == (collection is None):
        raise UsageError("give --input or --collection")
    if input_ is not None:
        checks.of_no_use(context, "--input", ("what",))
    else:
        checks.of_no_use(context, "--collection, whose texts have no spans", ("marked", "failed"))
    source, target = normalise(source), normalise(target)
    if source == target:
        raise UsageError(f"--source and --target are both '{source}'; give two languages")
    names = tuple(fields or FIELDS)
    using = translating.kept(translator, memory)
    translation = RowTranslation(using, source, target, names, marked, back)
    if input_ is not None:
        asked = _rows(input_, translation.check)
    else:
        asked = _records(str(collection), what.value, source)
    lost: list[Failed] = []
    made = 0
    with writing(output) as file:
        for row in translation(_first(asked, limit)):
            if not isinstance(row, Failed):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                made += 1
            elif failed is None:
                raise UsageError(
                    f"a row lost its spans: {row.failure.reason} ({row.failure.given[:80]!r}).\n"
                    "Give --failed FILE to collect such rows and go on."
                )
            else:
                lost.append(row)
    if failed is not None:
        with writing(failed) as file:
            file.writelines(json.dumps(r.record(), ensure_ascii=False) + "\n" for r in lost)
    translating.report(using)
    note(f"translated {made} rows" + (f"; {len(lost)} in {failed}" if failed else ""))


def _first(rows: Iterator[dict[str, Any]], limit: int | None) -> Iterator[dict[str, Any]]:
    from itertools import islice

    return rows if limit is None else islice(rows, limit)


def _rows(path: Path, check: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
    """JSON objects of a file.

    Raises:
        DataError: a line that is none, or that `check` refuses.
    """
    from polyrank.collections.jsonl import iter_objects

    for number, row in iter_objects(path):
        try:
            check(row)
        except UsageError as error:
            raise DataError(path, number, str(error)) from None
        yield row


def _records(collection: str, what: str, language: str) -> Iterator[dict[str, Any]]:
    """The queries or documents of a collection, as rows that polyrank reads."""
    from polyrank.collections.load import load_collection

    asked = language if what == "queries" else None
    held = language if what == "documents" else None
    texts = load_collection(collection, queries=asked, documents=held)
    if what == "queries":
        for query in texts.queries.values():
            yield {"_id": query.id, "text": query.text, "language": query.language}
        return
    for each in texts.documents.values():
        yield {"_id": each.id, "title": each.title, "text": each.text, "language": each.language}
