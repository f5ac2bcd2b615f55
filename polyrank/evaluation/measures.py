"""Measures of a run against judgements, through `ir_measures`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Judgement, Run, ScoredDocument, as_run, ranked
from polyrank.errors import UsageError
from polyrank.evaluation.reports import Comparison, Report
from polyrank.evaluation.significance import bootstrap_interval, holm, randomisation_test

if TYPE_CHECKING:
    from ir_measures import Measure

MEASURES = ("nDCG@10", "AP", "RR")
EXAMPLES = "nDCG@10, AP, RR@10, R@100, P@5, Success@1"


def evaluate(
    run: Run | Iterable[ScoredDocument],
    qrels: Iterable[Judgement],
    measures: str | Sequence[str] = MEASURES,
    baseline: Run | Iterable[ScoredDocument] | None = None,
    seed: int = 13,
) -> Report:
    """Measure a run and, given a baseline, test the difference query by query.

    Values are those of trec_eval, averaged over all judged queries, except among equal scores,
    where documents rank by id upwards as everywhere in polyrank (trec_eval: downwards). A judged
    query that the run lacks counts 0 and is listed in `Report.missing`; a query without judgements
    is left out and listed in `Report.unjudged`. The test is `randomisation_test`, the interval
    `bootstrap_interval`, and several measures are corrected by `holm`.

    Args:
        run: what to measure; a mapping from query id, or scored documents in any order.
        qrels: judgements.
        measures: one name or several, as `ir_measures` writes them: nDCG@10, AP(rel=2), R@100.
        baseline: the run to compare with.
        seed: of the test and the interval.

    Raises:
        UsageError: for an unknown measure, no judgements, a document twice for a query, or a run
            (or baseline) that has none of the judged queries.
    """
    names = [measures] if isinstance(measures, str) else list(measures)
    parsed = [parse_measure(name) for name in names]
    if not parsed:
        raise UsageError(f"name at least one measure, such as {EXAMPLES}")
    judged = list(qrels)
    if not judged:
        raise UsageError("there are no judgements to measure with")
    query_ids = list(dict.fromkeys(judgement.query_id for judgement in judged))
    grouped = run if isinstance(run, dict) else as_run(run)
    values = _values("the run", grouped, judged, query_ids, parsed)
    comparison = {}
    if baseline is not None:
        other = baseline if isinstance(baseline, dict) else as_run(baseline)
        others = _values("the baseline", other, judged, query_ids, parsed)
        comparison = _compare(values, others, query_ids, seed)
    known = set(query_ids)
    return Report(
        mean={str(m): _mean(values[str(m)].values()) for m in parsed},
        per_query=values,
        missing=[i for i in query_ids if i not in grouped],
        unjudged=[i for i in grouped if i not in known],
        comparison=comparison,
    )


def parse_measure(name: str) -> Measure:
    """A measure by its name in `ir_measures`.

    Raises:
        UsageError: for an unknown name or parameter.
    """
    import ir_measures

    try:
        measure = ir_measures.parse_measure(name.strip())
    except (
        NameError,
        ValueError,
        SyntaxError,
        TypeError,
        AttributeError,
        KeyError,
        AssertionError,
    ) as error:
        raise UsageError(f"unknown measure {name!r} ({error}); try {EXAMPLES}") from None
    cutoff = measure.params.get("cutoff")
    if cutoff is not None and not (isinstance(cutoff, int) and cutoff > 0):
        raise UsageError(f"the cutoff of {name!r} must be 1 or more")  # trec_eval would crash
    return measure


def _values(
    whose: str,
    run: Run,
    qrels: list[Judgement],
    query_ids: list[str],
    measures: list[Measure],
) -> dict[str, dict[str, float]]:
    """Measure → query → value, for every judged query."""
    import ir_measures

    if not any(i in run for i in query_ids):
        raise UsageError(
            f"{whose} has none of the {len(query_ids)} judged queries; "
            f"judged is {query_ids[0]!r}, ranked is {next(iter(run), 'nothing')!r}"
        )
    judged = [ir_measures.Qrel(j.query_id, j.document_id, j.relevance) for j in qrels]
    scored = [hit for i in query_ids for hit in _by_rank(whose, i, run.get(i, []))]
    values = {str(m): dict.fromkeys(query_ids, 0.0) for m in measures}
    if scored:
        try:
            for metric in ir_measures.iter_calc(measures, judged, scored):
                values[str(metric.measure)][metric.query_id] = float(metric.value)
        except (ValueError, RuntimeError, CalledProcessError) as error:  # a provider's refusal
            names = ", ".join(map(str, measures))
            raise UsageError(f"cannot compute {names}: {error}; try {EXAMPLES}") from error
    return values


def _by_rank(whose: str, query_id: str, hits: list[ScoredDocument]) -> list[Any]:
    """Scores that fall by rank, so that ties are broken our way in every provider."""
    from ir_measures import ScoredDoc

    ids = [hit.document_id for hit in ranked(hits)]
    if len(set(ids)) < len(ids):
        raise UsageError(f"{whose} has a document more than once for query {query_id}")
    return [ScoredDoc(query_id, d, float(len(ids) - rank)) for rank, d in enumerate(ids)]


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def _compare(
    ours: dict[str, dict[str, float]],
    theirs: dict[str, dict[str, float]],
    query_ids: list[str],
    seed: int,
) -> dict[str, Comparison]:
    columns = {
        name: ([ours[name][i] for i in query_ids], [theirs[name][i] for i in query_ids])
        for name in ours
    }
    p_values = [randomisation_test(a, b, seed=seed) for a, b in columns.values()]
    compared = {}
    for (name, (a, b)), p, corrected in zip(columns.items(), p_values, holm(p_values), strict=True):
        low, high = bootstrap_interval(a, b, seed=seed)
        compared[name] = Comparison(
            baseline=_mean(b),
            difference=_mean(a) - _mean(b),
            low=low,
            high=high,
            p_value=p,
            p_holm=corrected,
            better=sum(x > y for x, y in zip(a, b, strict=True)),
            worse=sum(x < y for x, y in zip(a, b, strict=True)),
        )
    return compared
