"""The first stage that a verb searches itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyrank.messages import note

from .options import Analysis, FirstStage

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Run


def search_first(
    collection: Collection,
    stage: FirstStage,
    base: str,
    depth: int,
    limit: int | None,
    device: str | None = None,
    analysis: Analysis = Analysis.stems,
) -> Run:
    """The first stage's candidates for the first `limit` queries; how BM25 read them, on stderr."""
    from polyrank.index.lexical import BM25

    queries = list(collection.queries.values())[:limit]
    documents = list(collection.documents.values())
    retrievers: dict[str, Any] = {}
    if stage is not FirstStage.dense:
        bm25 = retrievers["bm25"] = BM25(documents, analysis=analysis.value, base=base)
        note(repr(bm25))
        for message, times in bm25.notes.items():
            note(f"{message} ({times} documents)")
    if stage is not FirstStage.bm25:
        from polyrank.index.dense import Dense

        retrievers["dense"] = Dense(documents, base=base, device=device)
    if stage is FirstStage.fused:
        from polyrank.retrieval import Fusion

        return Fusion(list(retrievers.values())).search(queries, depth)
    run: Run = retrievers[stage.value].search(queries, depth)
    return run
