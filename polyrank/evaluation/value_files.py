"""Per-query values on disk: one line per query, measure and group of languages; TSV or JSONL."""

from __future__ import annotations

import json
from pathlib import Path

from polyrank.collections.files import has_ending, holds_json_lines, numbered_lines, writing
from polyrank.errors import DataError
from polyrank.evaluation.by_language import Groups, Languages

COLUMNS = ("query_language", "document_language", "query_id", "measure", "value")


def write_values(groups: Groups, path: str | Path) -> None:
    """Write values in full precision; `.jsonl` (also `.gz`) as JSON lines, else TSV with a header.

    A language that is not told apart is empty in TSV and null in JSON. A query for which a measure
    is undefined has no line.
    """
    with writing(path) as file:
        as_json = has_ending(path, ".jsonl")
        if not as_json:
            file.write("\t".join(COLUMNS) + "\n")
        for languages, values in groups.items():
            for measure, row in values.items():
                for query_id, value in row.items():
                    cells = (languages.query, languages.document, query_id, measure, value)
                    if as_json:
                        record = dict(zip(COLUMNS, cells, strict=True))
                        file.write(json.dumps(record, ensure_ascii=False) + "\n")
                    else:
                        text = ("" if c is None else str(c) for c in cells[:-1])
                        file.write("\t".join([*text, repr(value)]) + "\n")


def read_values(path: str | Path) -> Groups:
    """What `write_values` wrote.

    Raises:
        DataError: for a malformed line, or one that occurs twice.
    """
    groups: Groups = {}
    as_json = holds_json_lines(path)
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if not as_json and number == 1:
            if tuple(cells) != COLUMNS:
                raise DataError(path, 1, f"the header is not {', '.join(COLUMNS)} between tabs")
            continue
        try:
            if as_json:
                record = json.loads(line)
                cells = [record[name] for name in COLUMNS]
            query, document, query_id, measure, value = cells
            languages, number_value = Languages(query or None, document or None), float(value)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(path, number, f"no line of per-query values: {error}") from None
        row = groups.setdefault(languages, {}).setdefault(str(measure), {})
        if str(query_id) in row:
            raise DataError(path, number, f"query {query_id} has {measure} on another line too")
        row[str(query_id)] = number_value
    return groups
