"""Data sets of Hugging Face `datasets`, or local Parquet and JSON lines, by a mapping of columns.

The mapping is a JSON file; `hf:FILE.json` names it:

    {"documents": {"data": "docs.parquet", "id": "docid", "title": "title", "text": ["abstract"],
                   "language": "fr"},
     "queries":   {"data": "OWNER/NAME", "config": "queries", "split": "test",
                   "id": "qid", "text": "query", "language": "en"},
     "qrels":     {"data": "qrels.jsonl", "query": "qid", "document": "docid", "relevance": "rel"},
     "licence": "CC BY 4.0"}

`data` is a file or folder beside the mapping, else a data set of the Hub. Several columns of text
are joined by spaces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from polyrank.collections.beir import without_missing
from polyrank.collections.cards import CLEAN, CollectionCard
from polyrank.collections.collection_source import Need, Pairs, Selection, Source
from polyrank.collections.files import has_ending
from polyrank.collections.json_table import json_table
from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.errors import DataError, UsageError
from polyrank.installed import is_installed
from polyrank.languages.tags import normalise

PREFIX, CLIRUDIT = "hf:", "clirudit"
INSTALL = "pip install 'polyrank[train]'"  # has the datasets package
_NEEDED = {
    "documents": ("data", "id", "text"),
    "queries": ("data", "id", "text"),
    "qrels": ("data", "query", "document", "relevance"),
}
_OPTIONAL = {"documents": ("title", "language"), "queries": ("language",), "qrels": ()}


def read_columns(
    path: str | Path,
    queries: str | None = None,
    documents: str | None = None,
    limit: int | None = None,
    missing_judged: str = "error",
) -> Collection:
    """The collection that a mapping describes; it holds the judged queries and all documents.

    Args:
        path: the mapping.
        queries, documents: languages, instead of those of the mapping.
        limit: at most this many queries.
        missing_judged: of a relevant document that is absent: 'error', or 'skip' and count it.

    Raises:
        DataError: for a mapping, a file or a row that is not as it should be (rows count from 1),
            an id that occurs twice, or a judgement of an unknown query or relevant document.
    """
    path = Path(path)
    mapping = _mapping(path)
    corpus: dict[str, Document] = {}
    tag = _tag(documents, mapping["documents"])
    for number, row in _rows(path, mapping["documents"], ("id",)):
        part = mapping["documents"]
        identity = _new(path, number, row[part["id"]], corpus, "document")
        title = _text(path, number, row, part.get("title", []))
        corpus[identity] = Document(identity, _text(path, number, row, part["text"]), title, tag)
    asked: dict[str, Query] = {}
    tag = _tag(queries, mapping["queries"])
    for number, row in _rows(path, mapping["queries"], ("id",)):
        part = mapping["queries"]
        identity = _new(path, number, row[part["id"]], asked, "query")
        asked[identity] = Query(identity, _text(path, number, row, part["text"]), tag)
    qrels = columns_judgements(path)
    for judgement in qrels:
        if judgement.query_id not in asked:
            raise DataError(path, None, f"qrels: query {judgement.query_id} is not among queries")
    qrels, notes = without_missing(qrels, corpus, path, missing_judged)
    judged = {judgement.query_id for judgement in qrels}
    kept = dict(islice(((i, q) for i, q in asked.items() if i in judged), limit))
    licence = mapping.get("licence", "")
    found = [j for j in qrels if j.query_id in kept]
    return Collection(f"hf:{path}", corpus, kept, found, licence, notes)


def columns_judgements(path: str | Path) -> list[Judgement]:
    """The judgements alone; errors as `read_columns`."""
    path = Path(path)
    part = _mapping(path)["qrels"]
    found: dict[tuple[str, str], Judgement] = {}
    for number, row in _rows(path, part, ("query", "document", "relevance")):
        value = row[part["relevance"]]
        if isinstance(value, bool) or not isinstance(value, int):
            raise DataError(
                path, None, f"qrels, row {number}: the relevance {value!r} is not an integer"
            )
        pair = _id(path, number, row[part["query"]]), _id(path, number, row[part["document"]])
        if pair in found:
            raise DataError(path, None, f"qrels, row {number}: {' '.join(pair)} is judged twice")
        found[pair] = Judgement(*pair, value)
    return list(found.values())


def _mapping(path: Path) -> dict[str, Any]:
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(path, None, "file not found; hf: takes a mapping in JSON") from None
    except (ValueError, OSError, RecursionError) as error:
        raise DataError(path, None, f"not a mapping in JSON: {error}") from None
    if not isinstance(mapping, dict) or set(mapping) - {*_NEEDED, "licence"}:
        raise DataError(path, None, f"a mapping has {', '.join(_NEEDED)} and licence, nothing else")
    for name, needed in _NEEDED.items():
        part = mapping.get(name)
        allowed = {*needed, *_OPTIONAL[name], "config", "split"}
        if not isinstance(part, dict) or set(needed) - set(part) or set(part) - allowed:
            may = ", ".join(sorted(allowed - set(needed)))
            reason = f"'{name}' must have {', '.join(needed)}, and may have {may}"
            raise DataError(path, None, reason)
        for key, value in part.items():
            names = value if key in ("text", "title") and isinstance(value, list) else [value]
            if not names or not all(isinstance(one, str) and one for one in names):
                raise DataError(path, None, f"'{name}': '{key}' is {value!r}; give its name")
    return mapping


def _rows(
    path: Path, part: dict[str, Any], keys: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, row) of a part's data, its columns being there."""
    wanted = [part[key] for key in keys]
    for key in ("text", "title"):
        value = part.get(key, [])
        wanted += [value] if isinstance(value, str) else value
    for number, row in enumerate(_table(path, part), start=1):
        if absent := [column for column in wanted if column not in row]:
            reason = f"{part['data']} has no column {absent[0]!r}; it has {', '.join(row)}"
            raise DataError(path, None, reason)
        yield number, row


def _table(path: Path, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a part's data."""
    local = path.parent / part["data"]
    if local.is_file() and has_ending(local, ".jsonl", ".json"):
        yield from json_table(local)
        return
    try:
        import datasets
    except ImportError:
        raise UsageError(
            f"hf: collections need the datasets package; install it with:  {INSTALL}"
        ) from None
    try:
        if local.is_file() and has_ending(local, ".parquet"):
            yield from datasets.load_dataset(
                "parquet", data_files=str(local), split="train", streaming=True
            )
        else:
            name = str(local) if local.is_dir() else part["data"]
            split = part.get("split", "train")
            yield from datasets.load_dataset(
                name, part.get("config"), split=split, streaming=local.is_dir()
            )
    except StopIteration:  # of the library, at a file without a row
        raise DataError(path, None, f"{part['data']} has no rows") from None
    except Exception as error:  # whatever the library raises at a damaged file
        raise DataError(path, None, f"{part['data']} cannot be read: {error}") from error


def _new(path: Path, number: int, value: Any, seen: dict[str, Any], what: str) -> str:
    identity = _id(path, number, value)
    if identity in seen:
        raise DataError(path, None, f"row {number}: a second {what} {identity}")
    return identity


def _id(path: Path, number: int, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(
            path, None, f"row {number}: the id {value!r} is neither text nor an integer"
        )
    return str(value)


def _text(path: Path, number: int, row: dict[str, Any], columns: str | list[str]) -> str:
    """The texts of columns; one that is absent from a row (null) adds nothing."""
    parts = [row[column] for column in ([columns] if isinstance(columns, str) else columns)]
    for value in parts:
        if value is not None and not isinstance(value, str):
            raise DataError(path, None, f"row {number}: {value!r} is not text")
    return " ".join(part for part in parts if part)


def _tag(given: str | None, part: dict[str, Any]) -> str | None:
    language = given or part.get("language")
    return normalise(language) if language else None


def _read(selection: Selection) -> Collection:
    mapping = _mapping_of(selection.without_split())
    return read_columns(
        mapping,
        selection.queries,
        selection.documents,
        selection.limit,
        selection.missing_judged,
    )


def _judgements(selection: Selection) -> list[Judgement]:
    return columns_judgements(_mapping_of(selection.without_split()))


def _mapping_of(selection: Selection) -> Path:
    """The file of a mapping of columns; that of CLIRudit comes with the package."""
    if selection.name != CLIRUDIT:
        return Path(selection.name.removeprefix(PREFIX))
    languages = normalise(selection.queries or "en"), normalise(selection.documents or "fr")
    if languages != ("en", "fr"):
        raise UsageError(
            "clirudit has queries in en and documents in fr; leave out other languages"
        )
    return Path(str(resources.files("polyrank.data") / "clirudit.json"))


def _needs(name: str, pairs: Pairs) -> list[Need]:
    data = Need(
        f"{name}, if it was not fetched before",
        "it is fetched from the Hugging Face Hub when it is first read",
        fetched=True,
        general=True,
    )
    if not is_installed("datasets"):
        return [Need("the datasets package", INSTALL), data]
    return [data]


CARDS = (
    CollectionCard(
        CLIRUDIT, "English keywords and French abstracts of research articles", "hf",
        ("en",), ("fr",), (357710, 16389), "CC BY-NC 4.0",
        "https://huggingface.co/datasets/ftvalentini/clirudit", 36173928, "test", CLEAN,
        "CLIRudit, 2025, arXiv 2504.16264", "it is fetched from the Hub at the first use",
        "polyrank rerank --collection clirudit --run first.trec --output reranked.trec",
    ),
    CollectionCard(
        "hf:MAPPING.json", "Parquet, JSON lines or a data set of the Hub, by its columns",
        "hf", (), (), (None, None), "the data's own", "https://huggingface.co/datasets", None,
        "as the mapping says", "as its publisher says", "-",
        'a file such as {"documents": {"data": "docs.parquet", "id": "docid", "text": "abstract", '
        '"language": "fr"}, "queries": {"data": "OWNER/NAME", "config": "queries", '
        '"split": "test", "id": "qid", "text": "query"}, "qrels": {"data": "qrels.jsonl", '
        '"query": "qid", "document": "docid", "relevance": "rel"}}; files stand beside it',
        "polyrank rerank --collection hf:MAPPING.json --run first.trec --output reranked.trec",
    ),
)  # fmt: skip
SOURCE = Source(
    "hf",
    tuple(card.name for card in CARDS),
    CARDS,
    takes=lambda name: name == CLIRUDIT or name.startswith(PREFIX),
    read=_read,
    judgements=_judgements,
    needs=_needs,
)
