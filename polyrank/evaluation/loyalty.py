"""How loyal a student is to its teacher, over the same candidates, whatever is right.

Label and probability loyalty are Xu et al.'s (2021, arXiv 2109.03228); regression loyalty is Avram
et al.'s (2022, arXiv 2112.12650).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from polyrank.collections.records import Document, Query, Run, ScoredDocument, ranked
from polyrank.errors import UsageError

MEASURES = ("label", "probability", "regression", "tau")


@dataclass(frozen=True)
class LoyaltyGroup:
    """Means over the queries of one group; None where no query has the value.

    Attributes:
        name: 'all', 'query ky', or 'document sw' (over a query's candidates in that language).
        queries: that count here, each with two candidates or more.
        label: share of queries of which both put the same candidate first, ties by document id.
        probability: 1 − √JSD of the two softmax distributions over the candidates, base 2.
        regression: Pearson's correlation of the scores.
        tau: Kendall's τ-b.
        undefined: queries of which one side's scores are all equal: no correlation, no τ.
    """

    name: str
    queries: int
    label: float | None
    probability: float | None
    regression: float | None
    tau: float | None
    undefined: int = 0


@dataclass(frozen=True)
class Loyalty:
    """A report; it prints as a table.

    Attributes:
        single: queries with one candidate, which tell nothing and are left out.
        missing_queries, missing_candidates: that only one of the runs has, left out.
    """

    groups: tuple[LoyaltyGroup, ...]
    single: int = 0
    missing_queries: int = 0
    missing_candidates: int = 0

    def __getitem__(self, measure: str) -> float | None:
        """A measure over all queries."""
        value: float | None = getattr(self.groups[0], measure)
        return value

    def __str__(self) -> str:
        lines = ["\t".join(("group", "queries", *MEASURES))]
        for group in self.groups:
            values = (getattr(group, measure) for measure in MEASURES)
            cells = ("-" if v is None else f"{v:.4f}" for v in values)
            lines.append("\t".join((group.name, str(group.queries), *cells)))
        return "\n".join([*lines, *self.notes()])

    def notes(self) -> list[str]:
        """What was left out."""
        counted = (
            (self.groups[0].undefined, "queries of equal scores have no regression and no tau"),
            (self.single, "queries have one candidate and are left out"),
            (self.missing_queries, "queries are in one run only and are left out"),
            (self.missing_candidates, "candidates are in one run only and are left out"),
        )
        return [f"{count} {words}" for count, words in counted if count]

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return asdict(self)

    def json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def loyalty(
    student: Run,
    teacher: Run,
    queries: Mapping[str, Query] | None = None,
    documents: Mapping[str, Document] | None = None,
    missing: str = "error",
) -> Loyalty:
    """Compare a student's run with its teacher's, query by query, and average.

    Args:
        queries, documents: whose languages make the groups; without them there is only 'all'.
        missing: 'error' refuses runs of different candidates; 'skip' compares what both have, and
            counts the rest.

    Raises:
        UsageError: different candidates, a document twice for a query, or nothing to compare.
    """
    ours, theirs = _scores(student, "student"), _scores(teacher, "teacher")
    apart = set(ours) ^ set(theirs)
    different = {q: set(ours[q]) ^ set(theirs[q]) for q in ours if q in theirs}
    absent = sum(map(len, different.values()))
    if missing == "error" and (apart or absent):
        query_id = min(apart) if apart else min(q for q in different if different[q])
        what = "" if apart else f": '{min(different[query_id])}' is in one of them only"
        raise UsageError(
            f"the runs differ in {len(apart)} queries and {absent} candidates, first at query "
            f"'{query_id}'{what}.\nRerank the same first stage with both, or compare what they "
            "share with --missing skip."
        )
    pairs = {}
    for query_id in ours:
        shared = sorted(ours[query_id].keys() & theirs.get(query_id, {}).keys())
        if shared:
            pairs[query_id] = tuple(
                {i: side[query_id][i] for i in shared} for side in (ours, theirs)
            )
    usable = {query_id: pair for query_id, pair in pairs.items() if len(pair[0]) > 1}
    if not usable:
        raise UsageError("the runs share no query with two candidates; there is nothing to compare")
    groups = [_group("all", list(usable.values()))]
    for tag in _languages(queries, usable):
        some = [p for i, p in usable.items() if _language((queries or {}).get(i)) == tag]
        groups.append(_group(f"query {tag}", some))
    for tag in _languages(documents, {i for pair in usable.values() for i in pair[0]}):
        kept = [
            tuple(
                {i: s for i, s in side.items() if _language((documents or {}).get(i)) == tag}
                for side in pair
            )
            for pair in usable.values()
        ]
        some = [pair for pair in kept if len(pair[0]) > 1]
        if some:
            groups.append(_group(f"document {tag}", some))
    return Loyalty(tuple(groups), len(pairs) - len(usable), len(apart), absent)


def probability_loyalty(student: Sequence[float], teacher: Sequence[float]) -> float:
    """1 − √JSD(softmax(student), softmax(teacher)), in base 2, so from 0 to 1.

    SciPy's `jensenshannon` is the root already.
    """
    from scipy.spatial.distance import jensenshannon
    from scipy.special import softmax

    distance = float(jensenshannon(softmax(student), softmax(teacher), base=2))
    return 1.0 - (0.0 if math.isnan(distance) else distance)  # rounding may make a JSD of −0


Pair = Sequence[Mapping[str, float]]  # of one query: document → the student's score, the teacher's


def _group(name: str, pairs: Sequence[Pair]) -> LoyaltyGroup:
    from scipy.stats import kendalltau

    labels, probabilities, regressions, taus = [], [], [], []
    for student, teacher in pairs:
        ours, theirs = list(student.values()), [teacher[i] for i in student]
        labels.append(float(_first(student) == _first(teacher)))
        probabilities.append(probability_loyalty(ours, theirs))
        if len(set(ours)) > 1 and len(set(theirs)) > 1:
            regressions.append(_pearson(ours, theirs))
            taus.append(float(kendalltau(ours, theirs, variant="b").statistic))
    mean: Callable[[list[float]], float | None] = lambda v: fmean(v) if v else None  # noqa: E731
    return LoyaltyGroup(
        name,
        len(pairs),
        mean(labels),
        mean(probabilities),
        mean(regressions),
        mean(taus),
        len(pairs) - len(taus),
    )


def _pearson(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return float(np.corrcoef(ours, theirs)[0, 1])


def _first(scores: Mapping[str, float]) -> str:
    return ranked(ScoredDocument("", i, s) for i, s in scores.items())[0].document_id


def _scores(run: Run, whose: str) -> dict[str, dict[str, float]]:
    found = {}
    for query_id, hits in run.items():
        found[query_id] = {hit.document_id: hit.score for hit in hits}
        if len(found[query_id]) != len(hits):
            raise UsageError(f"the {whose}'s run has a document twice for the query '{query_id}'")
    return found


def _languages(records: Mapping[str, Query] | Mapping[str, Document] | None, ids: Any) -> list[str]:
    return sorted({_language((records or {}).get(i)) for i in ids} - {""})


def _language(record: Query | Document | None) -> str:
    return (record.language if record else None) or ""
