"""Measures of `ir_measures` by the tools behind it, kept from what makes these crash or never end.

trec_eval is C: a parameter or a grade that it does not expect is a wild read, hours, or gigabytes,
not an error. gdeval is Perl, and takes numeric ids of queries alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Judgement
from polyrank.errors import UsageError

if TYPE_CHECKING:
    from ir_measures import Measure

EXAMPLES = "nDCG@10, AP, RR@10, R@100, P@5, Success@1"
LARGEST_GRADE = 10_000  # trec_eval has an array of all grades up to the highest
LARGEST_CUTOFF = 1_000_000


def check_parameters(measure: Measure, name: str) -> None:
    """Refuse parameters that a measure lacks or does not have, and those that trec_eval reads past
    its arrays with.

    Raises:
        UsageError: naming the measure.
    """
    try:
        measure.validate_params()
    except AssertionError as error:
        known = ", ".join(
            f"{key} ({param.dtype.__name__}{', required' if param.required else ''})"
            for key, param in measure.SUPPORTED_PARAMS.items()
        )
        raise UsageError(f"{name!r}: {error}; its parameters: {known or 'none'}") from None
    cutoff, rel = measure.params.get("cutoff"), measure.params.get("rel")
    if cutoff is not None and not (isinstance(cutoff, int) and 0 < cutoff <= LARGEST_CUTOFF):
        raise UsageError(f"the cutoff of {name!r} must be 1 or more, {LARGEST_CUTOFF:,} at most")
    if rel is not None and not (isinstance(rel, int) and 0 < rel <= LARGEST_GRADE):
        raise UsageError(f"'rel' of {name!r} must be 1 or more, {LARGEST_GRADE:,} at most")
    gains = measure.params.get("gains")
    if isinstance(gains, dict) and not all(map(_is_gain, (*gains, *gains.values()))):
        raise UsageError(
            f"the gains of {name!r} must be whole numbers, {LARGEST_GRADE:,} at most, by grade"
        )


def _is_gain(value: Any) -> bool:
    return isinstance(value, int) and abs(value) <= LARGEST_GRADE


def provided(
    measures: Sequence[Measure], qrels: Sequence[Judgement], scored: Sequence[Any]
) -> Iterator[Any]:
    """Values of measures, query by query, where there is anything to measure.

    Args:
        scored: `ir_measures.ScoredDoc`, whose scores fall by rank.

    Yields:
        Metrics of `ir_measures`. A query that has no document of the grade that a measure asks for
        gets none: its value is 0, but trec_eval reads the levels of another one.

    Raises:
        UsageError: a measure that cannot be computed, and why; a grade that is too high.
    """
    import ir_measures

    if not measures or not scored:
        return
    numbers = {i: str(n) for n, i in enumerate(dict.fromkeys(j.query_id for j in qrels), 1)}
    names = {number: i for i, number in numbers.items()}
    run = [hit._replace(query_id=numbers[hit.query_id]) for hit in scored]
    for level, group in _by_level(measures).items():
        kept = _with_level(qrels, level)
        rows = [ir_measures.Qrel(numbers[j.query_id], j.document_id, j.relevance) for j in kept]
        for metric in _calculated(group, rows, run) if rows else ():
            if metric.query_id in names:
                yield metric._replace(query_id=names[metric.query_id])


def _by_level(measures: Sequence[Measure]) -> dict[int, list[Measure]]:
    """Measures by the grade from which on a document is relevant to them."""
    found: dict[int, list[Measure]] = defaultdict(list)
    for measure in measures:
        rel = measure.params.get("rel")
        found[rel if isinstance(rel, int) and rel > 1 else 0].append(measure)
    return found


def _with_level(qrels: Sequence[Judgement], level: int) -> list[Judgement]:
    """The judgements of the queries that have one of this grade or above.

    To trec_eval a negative relevance is "in the pool, not judged". Of a query that has nothing else
    it never ends or crashes; no measure is above 0 there.
    """
    for j in qrels:
        if abs(j.relevance) > LARGEST_GRADE:
            raise UsageError(
                f"query {j.query_id}, document {j.document_id}: the relevance {j.relevance} is "
                f"above {LARGEST_GRADE:,}, which trec_eval cannot count; scale the grades"
            )
    usable = {j.query_id for j in qrels if j.relevance >= level}
    return [j for j in qrels if j.query_id in usable]


def _calculated(group: list[Measure], rows: list[Any], run: list[Any]) -> list[Any]:
    """All at once, or the reason why one of them cannot be computed."""
    import ir_measures

    try:
        return list(ir_measures.iter_calc(group, rows, run))
    except Exception as error:  # whatever the tool behind a measure raises
        if len(group) > 1:
            return [metric for one in group for metric in _calculated([one], rows, run)]
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"cannot compute {group[0]}: {reason}\nIts parameters may be incomplete, or the tool "
            f"behind it is not installed; try {EXAMPLES}."
        ) from error
