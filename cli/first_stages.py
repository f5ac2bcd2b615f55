"""The first stage that a verb searches itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyrank.progress import note

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
    retrievers: list[Any] = []
    if stage in (FirstStage.bm25, FirstStage.fused):
        retrievers.append(BM25(documents, analysis=analysis.value, base=base))
        note(repr(retrievers[-1]))
    if stage in (FirstStage.dense, FirstStage.fused):
        from polyrank.index.dense import Dense

        retrievers.append(Dense(documents, base=base, device=device))
    if stage is FirstStage.modular:
        from polyrank.index.modular_dense import ModularDense

        retrievers.append(ModularDense(documents, base=base, device=device))
    if stage is FirstStage.fused:
        from polyrank.pipeline import Fusion

        run: Run = Fusion(retrievers).search(queries, depth)
    else:
        run = retrievers[0].search(queries, depth)
    for retriever in retrievers:
        for message, times in getattr(retriever, "notes", {}).items():
            note(f"{message} ({times} texts)")
    return run
