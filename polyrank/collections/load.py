"""One name for every collection: see `polyrank.collections.cards` for what there is."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from polyrank.collections.beir import beir_judgements, read_beir
from polyrank.collections.bundled import BUNDLED, bundled_judgements, read_bundled
from polyrank.collections.clef import clef_judgements, read_clef
from polyrank.collections.columns import columns_judgements, read_columns
from polyrank.collections.irds import irds_judgements, read_irds
from polyrank.collections.records import Collection, Judgement
from polyrank.errors import UsageError
from polyrank.languages.tags import normalise


def load_collection(
    name: str,
    queries: str | None = None,
    documents: str | None = None,
    split: str | None = None,
    limit: int | None = None,
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

    Raises:
        UsageError: for an unknown name or split, or a limit below one.
        DataError: for a malformed or missing file.
        LanguageError: for an unknown language.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give a number of queries above zero, or none for all")
    if name in BUNDLED:
        return read_bundled(name, queries, documents, limit, split)
    if name.startswith("irds:"):
        _no_split(name, split)
        return read_irds(name.removeprefix("irds:"), queries, documents, limit)
    if name.startswith("hf:") or name == "clirudit":
        _no_split(name, split)
        return read_columns(_mapping_of(name, queries, documents), queries, documents, limit)
    if name.startswith("clef:"):
        return read_clef(name.removeprefix("clef:"), queries, documents, split, limit)
    if Path(name).is_dir():
        return read_beir(name, queries, documents, split or "test", limit)
    raise _unknown(name)


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
    if name in BUNDLED:
        return bundled_judgements(name, queries, documents, split)
    if name.startswith("irds:"):
        _no_split(name, split)
        return irds_judgements(name.removeprefix("irds:"))
    if name.startswith("hf:") or name == "clirudit":
        _no_split(name, split)
        return columns_judgements(_mapping_of(name, queries, documents))
    if name.startswith("clef:"):
        return clef_judgements(name.removeprefix("clef:"), queries, documents, split)
    if Path(name).is_dir():
        return beir_judgements(name, split or "test")
    raise _unknown(name)


def _mapping_of(name: str, queries: str | None, documents: str | None) -> Path:
    """The file of a mapping of columns; that of CLIRudit comes with the package."""
    if name != "clirudit":
        return Path(name.removeprefix("hf:"))
    if (normalise(queries or "en"), normalise(documents or "fr")) != ("en", "fr"):
        raise UsageError(
            "clirudit has queries in en and documents in fr; leave out other languages"
        )
    return Path(str(resources.files("polyrank.data") / "clirudit.json"))


def _no_split(name: str, split: str | None) -> None:
    if split is not None:
        raise UsageError(f"{name} takes no split {split!r}; it names its own")


def _unknown(name: str) -> UsageError:
    return UsageError(
        f"there is no collection {name!r}; give {', '.join(BUNDLED)}, the path of a BEIR folder, "
        "clef: and a folder, hf: and a mapping of columns, "
        "or irds: and an ir_datasets id; 'polyrank collections list' shows all"
    )
