"""Documents without text: one rule for all that searches or ranks.

They say nothing, so a score for them means nothing. A first stage leaves them out; a reranker,
which gives back every candidate, puts them last. Both count them.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.collections.records import Document
from polyrank.notes import Note, Notes

STEP = 1e-6  # of the lowest other score: how far below it they stand


def has_text(document: Document) -> bool:
    """Whether anything can be read of a document.

    >>> has_text(Document("a", " ", title="Nile")), has_text(Document("b", " "))
    (True, False)
    """
    return bool(document.text.strip() or document.title.strip())


def left_out(documents: Sequence[Document]) -> tuple[list[Document], Notes]:
    """Those with text, and how many there are without."""
    kept = [document for document in documents if has_text(document)]
    return kept, _counted(len(documents) - len(kept), "document without text: never found")


def put_last(scores: Sequence[float], documents: Sequence[Document]) -> tuple[list[float], Notes]:
    """The scores, those of documents without text below all others, and how many there are.

    >>> put_last([0.5, 2.0, 0.25], [Document("a", "x"), Document("b", ""), Document("c", "y")])[0]
    [0.5, 0.249999, 0.25]
    """
    empty = [not has_text(document) for document in documents]
    others = [score for score, nothing in zip(scores, empty, strict=True) if not nothing]
    if not any(empty):
        return list(scores), Notes()
    lowest = min(others, default=min(scores))
    below = lowest - STEP * max(1.0, abs(lowest))
    lowered = [
        min(score, below) if nothing else score
        for score, nothing in zip(scores, empty, strict=True)
    ]
    return lowered, _counted(sum(empty), "candidate without text: ranked last")


def _counted(times: int, words: str) -> Notes:
    return Notes({Note("empty", words): times})
