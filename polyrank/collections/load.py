"""One name for every collection: see `polyrank.collections.catalogue` for what there is."""

from __future__ import annotations

from polyrank.collections.catalogue import source_of
from polyrank.collections.collection_source import Selection
from polyrank.collections.records import Collection, Judgement
from polyrank.errors import UsageError


def load_collection(
    name: str,
    queries: str | None = None,
    documents: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    missing_judged: str = "error",
) -> Collection:
    """Load a collection by name.

    >>> load_collection("ntrex", queries="ky", documents="en")
    Collection('ntrex': 123 documents [en 123], 123 queries [ky 123], 123 judgements, CC BY-SA 4.0)

    Args:
        name: a bundled one (`xquad`, `ntrex`, `flores`, `sib200`, `afriqa`), `irds:ID`,
            `clef:FOLDER`, `hf:MAPPING.json`, or a BEIR folder.
        queries, documents: languages. They choose the side of a bundled collection (all languages
            when None) and name the language of records that do not name their own elsewhere.
        split: of a BEIR folder (`test` when None), of AfriQA, or of CLEF; the others have one.
        limit: at most this many queries (per language); the documents are kept whole.
        missing_judged: what becomes of a judgement of a relevant document that the collection
            lacks, as BEIR's ArguAna has some: 'error', or 'skip' it and count it in `notes`.

    Raises:
        UsageError: for an unknown name or split, or a limit below one.
        DataError: for a malformed or missing file.
        LanguageError: for an unknown language.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give a number of queries above zero, or none for all")
    return source_of(name).read(Selection(name, queries, documents, split, limit, missing_judged))


def load_judgements(
    name: str, queries: str | None = None, documents: str | None = None, split: str | None = None
) -> list[Judgement]:
    """The judgements of a collection, without reading its documents.

    For the same arguments they are `load_collection(...).qrels`, with one exception: those of a
    bundled parallel collection hold for each pair of languages, and are those of a pair when no
    language is given.

    Raises:
        as `load_collection`.
    """
    return source_of(name).judgements(Selection(name, queries, documents, split))
