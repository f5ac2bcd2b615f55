"""How good the chosen summaries are, how good the best ones would be, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from polyrank.summaries.candidates import CandidateSet
from polyrank.summaries.rouge import Rouge, diversity, rouge

FIRST, RERANKED, ORACLE = "first", "reranked", "oracle"


@dataclass(frozen=True)
class SummaryReport:
    """Means over articles.

    Attributes:
        articles: how many.
        candidates: of an article.
        by: what reranked them; '' where nothing did.
        systems: 'first' (of the most likely plan), 'reranked', where something reranked them, and
            'oracle', the candidate of highest mean ROUGE.
        diversity: the mean of 1 − ROUGE-1 over pairs of candidates, over the articles that have
            two; None where none has.
    """

    articles: int
    candidates: float
    by: str
    systems: dict[str, Rouge]
    diversity: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)


def report_of(sets: Iterable[CandidateSet]) -> SummaryReport:
    """Measure candidates against their references; there is one set or more."""
    chosen: dict[str, list[Rouge]] = {FIRST: [], RERANKED: [], ORACLE: []}
    spreads: list[float] = []
    counts: list[int] = []
    ways: set[str] = set()
    for found in sets:
        language, reference = found.article.language, found.article.reference
        measured = {one.number: rouge(one.text, reference, language) for one in found.candidates}
        chosen[FIRST].append(measured[min(measured)])
        chosen[RERANKED].append(measured[found.candidates[0].number])
        chosen[ORACLE].append(max(measured.values(), key=lambda one: one.mean))
        counts.append(len(measured))
        ways.add(found.by)
        if len(measured) > 1:
            spreads.append(diversity([one.text for one in found.candidates], language))
    by = "+".join(sorted(way for way in ways if way))
    if not by:
        del chosen[RERANKED]
    means = {name: Rouge(*map(fmean, zip(*all_, strict=True))) for name, all_ in chosen.items()}
    return SummaryReport(len(counts), fmean(counts), by, means, fmean(spreads) if spreads else None)
