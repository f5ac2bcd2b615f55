"""Training rows of other projects: FlagEmbedding, tevatron, margin TSV, Hugging Face datasets.

Rows that carry their texts bring the passages with them; a passage without an id is named by its
text, so that the same text is one passage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyrank.collections.files import has_ending, numbered_lines, parse_json
from polyrank.collections.json_table import json_table
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, PolyrankError, UsageError, first_line
from polyrank.training.examples.negatives import Example, checked_scores

COLUMNS = ("id", "query", "pos", "neg", "pos_scores", "neg_scores")


@dataclass
class Gathered:
    """Examples and the passages that they name, as they come in."""

    language: str | None
    examples: dict[str, Example] = field(default_factory=dict)
    passages: dict[str, Document] = field(default_factory=dict)

    def passage(self, text: Any, identity: str | None = None, title: str = "") -> str:
        """The id of a passage, which is kept; ValueError for no text, or another one of that id."""
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"a passage is {text!r}, not a text")
        name = identity or "t" + hashlib.sha256(text.encode()).hexdigest()[:16]
        document = Document(name, text, title, self.language)
        if self.passages.setdefault(name, document) != document:
            raise ValueError(f"the passage '{name}' has another text in an earlier row")
        return name

    def add(
        self,
        identity: str,
        query: Any,
        positives: Iterable[str],
        negatives: Iterable[str],
        scores: tuple[float, ...] | None = None,
    ) -> None:
        """One row; ValueError says what is wrong with it."""
        positives, negatives = tuple(positives), tuple(negatives)
        if not isinstance(query, str) or not query.strip():
            raise ValueError(f"the query is {query!r}, not a text")
        if not positives:
            raise ValueError("it has no positive")
        if both := set(positives) & set(negatives):
            raise ValueError(f"'{min(both)}' is a positive and a negative")
        if identity in self.examples:
            raise ValueError(f"the id '{identity}' stands in an earlier row")
        self.examples[identity] = Example(
            Query(identity, query), positives, negatives, teacher=scores
        )


def flagembedding(path: Path, language: str | None) -> Gathered:
    """JSON lines of `query`, `pos`, `neg` (texts), optionally `pos_scores`, `neg_scores`, `id`."""
    found = Gathered(language)
    for number, row in _objects(path):
        with _named(path, number):
            _texts(found, str(row.get("id") or f"row{number}"), row)
    return found


def tevatron(path: Path, language: str | None) -> Gathered:
    """JSON lines of `query_id`, `query`, `positive_passages`, `negative_passages`, each passage
    with `docid`, `text` and perhaps `title`."""
    found = Gathered(language)

    def named(passages: Any) -> list[str]:
        if not isinstance(passages, list):
            raise ValueError(f"passages are {type(passages).__name__}, not a list")
        return [
            found.passage(p.get("text"), str(p["docid"]), p.get("title") or "") for p in passages
        ]

    for number, row in _objects(path):
        with _named(path, number):
            found.add(
                str(row["query_id"]),
                row["query"],
                named(row["positive_passages"]),
                named(row.get("negative_passages") or []),
            )
    return found


def margin_tsv(path: Path, queries: Mapping[str, Query]) -> Gathered:
    """Lines of positive's score, negative's score, query id, positive's id, negative's id
    (Hofstätter et al. 2020, Zenodo 4068216); the lines of a query become one example."""
    scores: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        with _named(path, number):
            if len(cells) != 5:
                raise ValueError(f"{len(cells)} columns between tabs, expected 5")
            query, *ids = (cell.strip() for cell in cells[2:])
            if query not in queries:
                raise ValueError(f"'{query}' is not among the queries")
            sides = scores.setdefault(query, ({}, {}))
            for side, other, name, score in zip(
                sides, sides[::-1], ids, checked_scores(cells[:2], 1, 1), strict=True
            ):
                if side.setdefault(name, score) != score:
                    raise ValueError(f"'{name}' has another score for this query above")
                if name in other:
                    raise ValueError(f"'{name}' is a positive and a negative of this query")
    found = Gathered(None)
    for query, (positives, negatives) in scores.items():
        told = (*positives.values(), *negatives.values())
        found.add(query, queries[query].text, positives, negatives, told)
    return found


def hugging_face(name: str | Path, columns: Mapping[str, str], language: str | None) -> Gathered:
    """Rows of a `datasets` dataset: a folder of `save_to_disk`, a .parquet, .csv or .jsonl file, or
    a name of the Hub, with :SPLIT behind it (else train).

    Args:
        columns: `COLUMNS` → the dataset's column; 'neg' may name several, joined by '+'. A column
            that is not mapped has its own name.

    Raises:
        DataError: a row that is not an example, by its number from 1.
        UsageError: a dataset or a column that there is none of.
    """
    if unknown := set(columns) - set(COLUMNS):
        raise UsageError(f"no column '{min(unknown)}' to map; there are: {', '.join(COLUMNS)}")
    dataset = _dataset(str(name))
    have = set(dataset.column_names)
    wanted = {ours: columns.get(ours, ours).split("+") for ours in COLUMNS}
    for ours, theirs in wanted.items():
        absent = [column for column in theirs if column not in have]
        if absent and (ours in columns or ours in ("query", "pos")):
            raise UsageError(
                f"{name} has no column '{absent[0]}' for '{ours}'; it has "
                f"{', '.join(sorted(have))}.\nMap it with --columns {ours}=COLUMN"
            )
    found = Gathered(language)
    for number, row in enumerate(dataset, start=1):
        with _named(name, None, f"row {number}: "):
            plain = {
                ours: _joined([row[c] for c in theirs])
                for ours, theirs in wanted.items()
                if set(theirs) <= have
            }
            identity = plain.pop("id", None)
            _texts(found, str(number) if identity is None else str(identity), plain)
    return found


def _texts(found: Gathered, identity: str, row: Mapping[str, Any]) -> None:
    """A row of texts: query, pos, neg, and scores where there are some."""
    positives, negatives = (
        [found.passage(text) for text in _several(row.get(side))] for side in ("pos", "neg")
    )
    given = [row.get(f"{side}_scores") for side in ("pos", "neg")]
    scores = None
    if any(value is not None for value in given):
        told = [score for value in given for score in _several(value)]
        scores = checked_scores(told, len(positives), len(negatives))
    found.add(identity, row.get("query"), positives, negatives, scores)


def _several(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _joined(values: list[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    return [one for value in values for one in _several(value)]


def _dataset(name: str) -> Any:
    from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

    path, _, split = name.partition(":")
    kind = {".parquet": "parquet", ".csv": "csv"}
    try:
        if Path(path).is_file() and has_ending(path, ".jsonl", ".json"):
            return Dataset.from_list(json_table(path))
        if Path(path).is_file():
            reader = kind.get(Path(path).suffix)
            if reader is None:
                raise UsageError(f"{path}: a dataset is a .parquet, .csv or .jsonl file")
            return load_dataset(reader, data_files=path, split="train")
        loaded = load_from_disk(path) if Path(path).is_dir() else load_dataset(path)
        if isinstance(loaded, DatasetDict):
            if (split or "train") not in loaded:
                raise UsageError(f"{path} has the splits {', '.join(loaded)}; write {path}:SPLIT")
            return loaded[split or "train"]
        return loaded
    except PolyrankError:
        raise
    except Exception as error:  # the library's errors are of many kinds
        first = first_line(error)
        raise UsageError(f"the dataset '{name}' cannot be read: {first}") from error


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in numbered_lines(path):
        with _named(path, number):
            row = parse_json(line)
            if not isinstance(row, dict):
                raise ValueError(f"a JSON {type(row).__name__}, where an object was expected")
        yield number, row


class _named:
    """Turns what is wrong with a row into a DataError with its place."""

    def __init__(self, path: str | Path, number: int | None, prefix: str = "") -> None:
        self.path, self.number, self.prefix = path, number, prefix

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, KeyError):
            raise DataError(self.path, self.number, f"{self.prefix}no field {error}") from error
        if isinstance(error, ValueError | TypeError | AttributeError):
            raise DataError(self.path, self.number, f"{self.prefix}{error}") from error
