"""One name for every collection: a bundled one, a folder, or an ir_datasets id."""

from __future__ import annotations

from pathlib import Path

from polyrank.collections.beir import read_beir
from polyrank.collections.bundled import BUNDLED, read_bundled
from polyrank.collections.irds import read_irds
from polyrank.collections.records import Collection
from polyrank.errors import UsageError


def load_collection(
    name: str,
    queries: str | None = None,
    documents: str | None = None,
    split: str = "test",
    limit: int | None = None,
) -> Collection:
    """Load a collection by name.

    >>> load_collection("ntrex", queries="ky", documents="en")
    Collection('ntrex': 123 documents [en 123], 123 queries [ky 123], 123 judgements, CC BY-SA 4.0)

    Args:
        name: `xquad` or `ntrex` (bundled), a BEIR folder, or `irds:ID`.
        queries, documents: languages. They choose the side of a bundled collection (all languages
            when None) and name the language of records that do not name their own elsewhere.
        split: of a BEIR folder; the others have one.
        limit: at most this many queries (per language); the documents are kept whole.

    Raises:
        UsageError: for an unknown name or a negative limit.
        DataError: for a malformed or missing file.
        LanguageError: for an unknown language.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give a number of queries above zero, or none for all")
    if name in BUNDLED:
        return read_bundled(name, queries, documents, limit)
    if name.startswith("irds:"):
        return read_irds(name.removeprefix("irds:"), queries, documents, limit)
    if Path(name).is_dir():
        return read_beir(name, queries, documents, split, limit)
    raise UsageError(
        f"there is no collection {name!r}; give {', '.join(BUNDLED)}, the path of a BEIR folder, "
        "or irds: and an ir_datasets id"
    )
