"""How much of the evidence of a question is among its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polyrank.collections.records import Judgement, Run


@dataclass(frozen=True)
class Coverage:
    """Over the questions of a run that have a relevant document.

    Attributes:
        questions: how many.
        share: of a question's relevant documents those found, mean over questions.
        whole: questions all of whose relevant documents were found.
    """

    questions: int
    share: float
    whole: int

    def __str__(self) -> str:
        return f"{self.share:.3f} of the evidence, all of it for {self.whole} of {self.questions}"


def coverage(run: Run, qrels: Sequence[Judgement]) -> Coverage:
    """What of the relevant documents a run holds, at any rank."""
    wanted: dict[str, set[str]] = {}
    for judgement in qrels:
        if judgement.relevance > 0 and judgement.query_id in run:
            wanted.setdefault(judgement.query_id, set()).add(judgement.document_id)
    shares = [
        len(ids & {hit.document_id for hit in run[query]}) / len(ids)
        for query, ids in wanted.items()
    ]
    whole = sum(share == 1 for share in shares)
    return Coverage(len(shares), sum(shares) / len(shares) if shares else 0.0, whole)
