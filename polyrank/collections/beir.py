"""BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/{split}.tsv`, each plain or `.gz`."""

from __future__ import annotations

from collections.abc import Container
from itertools import islice
from pathlib import Path
from typing import Any

from polyrank.collections.cards import CollectionCard
from polyrank.collections.collection_source import (
    Need,
    Pairs,
    Selection,
    Source,
    counted,
    folder_needs,
)
from polyrank.collections.jsonl import iter_documents, iter_queries
from polyrank.collections.records import Collection, Judgement
from polyrank.collections.trec import read_qrels
from polyrank.errors import DataError


def read_beir(
    folder: str | Path,
    queries: str | None = None,
    documents: str | None = None,
    split: str = "test",
    limit: int | None = None,
    missing_judged: str = "error",
) -> Collection:
    """A BEIR folder (Thakur et al. 2021, arXiv 2104.08663).

    The queries are those judged in the split, in the file's order, since BEIR keeps the queries of
    all splits in one file. A query or document that is judged but absent is an error, but for
    `missing_judged`.

    Args:
        folder: the folder.
        queries, documents: languages, for records that do not name their own.
        split: which file of `qrels/`.
        limit: at most this many queries; all documents are kept.
        missing_judged: of a relevant document that is absent: 'error', or 'skip' and count it.

    Raises:
        DataError: for a missing or malformed file, or judgements of unknown ids.
    """
    folder = Path(folder)
    qrels_path = _existing(folder, f"qrels/{split}.tsv")
    qrels = read_qrels(qrels_path)
    corpus = {d.id: d for d in iter_documents(_existing(folder, "corpus.jsonl"), documents)}
    texts = {q.id: q for q in iter_queries(_existing(folder, "queries.jsonl"), queries)}
    for judgement in qrels:
        if judgement.query_id not in texts:
            raise DataError(qrels_path, None, f"query {judgement.query_id} is not in queries.jsonl")
    qrels, notes = without_missing(qrels, corpus, qrels_path, missing_judged)
    judged = {judgement.query_id for judgement in qrels}
    queries_of_split = ((i, q) for i, q in texts.items() if i in judged)
    asked = dict(islice(queries_of_split, limit))
    return Collection(
        folder.name, corpus, asked, [j for j in qrels if j.query_id in asked], notes=notes
    )


def without_missing(
    qrels: list[Judgement], corpus: Container[str], path: Path, missing_judged: str
) -> tuple[list[Judgement], tuple[str, ...]]:
    """The judgements of documents that there are, and how many were left out, in words.

    Raises:
        DataError: a relevant document that is absent, unless such are skipped.
    """
    absent = [j for j in qrels if j.relevance > 0 and j.document_id not in corpus]
    if not absent:
        return qrels, ()
    count, first = len(absent), absent[0].document_id
    if missing_judged != "skip":
        raise DataError(
            path,
            None,
            f"{count} relevant documents are not in the corpus (the first: {first}); leave them "
            "out with --missing-judged skip, or missing_judged='skip'",
        )
    left_out = set(absent)
    return [j for j in qrels if j not in left_out], (
        f"{count} judgements of documents that the corpus lacks were left out (the first: {first})",
    )


def beir_judgements(folder: str | Path, split: str = "test") -> list[Judgement]:
    """The judgements of a split alone."""
    return read_qrels(_existing(Path(folder), f"qrels/{split}.tsv"))


def _existing(folder: Path, name: str) -> Path:
    """The plain file or its `.gz`."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    present = sorted(p.name for p in (folder / name).parent.glob("*"))[:8]
    shown = f"; it has {', '.join(present)}" if present else ""
    raise DataError(folder, None, f"no {name} or {name}.gz in this folder{shown}")


def _read(selection: Selection) -> Collection:
    split = selection.split or "test"
    return read_beir(
        selection.name,
        selection.queries,
        selection.documents,
        split,
        selection.limit,
        selection.missing_judged,
    )


def _judgements(selection: Selection) -> list[Judgement]:
    return beir_judgements(selection.name, selection.split or "test")


def _needs(name: str, pairs: Pairs) -> list[Need]:
    return folder_needs(Path(name))


def _counts(name: str) -> dict[str, Any] | None:
    return None if _needs(name, ()) else counted(_read(Selection(name)))


CARD = CollectionCard(
    "FOLDER", "A folder in the BEIR layout", "beir", (), (), (None, None), "the data's own",
    "-", 0, "qrels/test.tsv", "as its publisher says", "Thakur et al. 2021, arXiv 2104.08663",
    "a folder with corpus.jsonl, queries.jsonl, qrels/test.tsv (plain or .gz)",
    "polyrank search --collection FOLDER --no-rerank --limit 5",
)  # fmt: skip
SOURCE = Source(
    "beir",
    ("a BEIR folder",),
    (CARD,),
    takes=lambda name: Path(name).is_dir(),
    read=_read,
    judgements=_judgements,
    needs=_needs,
    counts=_counts,
)
