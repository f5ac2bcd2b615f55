"""Measures of a run against judgements, through `ir_measures`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Collection, Judgement, Run, ScoredDocument
from polyrank.collections.texts import Judgements, Runs, judgements_of, run_of
from polyrank.errors import UsageError
from polyrank.evaluation.missing import same_queries
from polyrank.evaluation.named import MEASURES as OWN
from polyrank.evaluation.named import SHORTHAND, LanguageMeasure, parse_own
from polyrank.evaluation.order import trec_eval_order
from polyrank.evaluation.pool import Pool
from polyrank.evaluation.providers import EXAMPLES, check_parameters, provided
from polyrank.evaluation.reports import Comparison, Report
from polyrank.evaluation.significance import bootstrap_interval, holm, randomisation_test

if TYPE_CHECKING:
    from ir_measures import Measure

MEASURES = ("nDCG@10", "AP", "RR")
Values = dict[str, dict[str, float]]  # measure → query → value


def evaluate(
    run: Runs,
    qrels: Judgements,
    measures: str | Sequence[str] = MEASURES,
    baseline: Runs | None = None,
    seed: int = 13,
    *,
    collection: Collection | Pool | None = None,
    missing: str = "refuse",
) -> Report:
    """Measure a run and, given a baseline, test the difference query by query.

    Values are those of `trec_eval -c`, averaged over all judged queries. Equal scores are ordered
    as trec_eval does, by document id downwards and in single precision (`trec_eval_order`), though
    runs are written with ties by id upwards. A judged query that the run lacks counts 0 and is
    listed in `Report.missing`; a query without judgements is left out and listed in
    `Report.unjudged`. The test is `randomisation_test`, the interval `bootstrap_interval`, and
    several measures are corrected by `holm`.

    Args:
        run: what to measure; a mapping from query id, scored documents in any order, or a frame.
        qrels: judgements, query id → document id → relevance, or a frame.
        measures: one name or several, as `ir_measures` writes them: nDCG@10, AP(rel=2), R@100; or
            language-aware ones: SemnDCG@10, LPR, LangnDCG@10, PEER@20, RightSame, RightOther,
            WrongSame, WrongOther (FourWay for these four).
        baseline: the run to compare with.
        seed: of the test and the interval.
        collection: languages and parallel groups, for language-aware measures.
        missing: what to do when run and baseline have different judged queries: 'refuse', count
            'zero', or 'intersect': measure where both have them. Without a baseline 'intersect'
            measures the queries that the run has.

    Raises:
        UsageError: for an unknown measure, no judgements, a document twice for a query, a run
            (or baseline) that has none of the judged queries, or another set than the other.
    """
    parsed = parse_measures(measures)
    judged = unique_judgements(qrels)
    pool = as_pool(collection)
    runs = {"the run": run_of(run)}
    if baseline is not None:
        runs["the baseline"] = run_of(baseline)
    query_ids = list(dict.fromkeys(judgement.query_id for judgement in judged))
    known, left_out = set(query_ids), 0
    for whose, each in runs.items():
        _has_some(whose, each, query_ids)
    if len(runs) > 1 or missing != "refuse":
        kept = same_queries(runs, query_ids, missing)
        if missing == "intersect":
            left_out = len(known - kept)
            judged = [j for j in judged if j.query_id in kept]
            query_ids = [i for i in query_ids if i in kept]
    grouped = runs["the run"]
    values = per_query("the run", grouped, judged, parsed, pool)
    comparison = {}
    if baseline is not None:  # a query that both lack counts 0 for both, as in the means
        others = per_query("the baseline", runs["the baseline"], judged, parsed, pool)
        comparison = _compare(values, others, seed)
    return Report(
        mean={str(m): aggregate(m, values[str(m)]) for m in parsed},
        per_query=values,
        missing=[i for i in query_ids if i not in grouped],
        unjudged=[i for i in grouped if i not in known],
        comparison=comparison,
        undefined={
            m: lacking
            for m, row in values.items()
            if (lacking := [i for i in query_ids if i not in row])
        },
        found=any_judged(grouped, judged),
        left_out=left_out,
    )


def as_pool(collection: Collection | Pool | None) -> Pool | None:
    """Languages and groups of a collection."""
    return Pool.of_collection(collection) if isinstance(collection, Collection) else collection


def parse_measures(names: str | Sequence[str]) -> list[Measure | LanguageMeasure]:
    """Measures by their names, FourWay as its four parts.

    Raises:
        UsageError: for none, or an unknown one.
    """
    given = [names] if isinstance(names, str) else list(names)
    parsed = [parse_measure(n) for name in given for n in SHORTHAND.get(name.strip(), (name,))]
    if not parsed:
        raise UsageError(f"give at least one measure, such as {EXAMPLES}")
    return list({str(m): m for m in parsed}.values())


def parse_measure(name: str) -> Measure | LanguageMeasure:
    """A measure by its name: a language-aware one of polyrank, else one of `ir_measures`.

    Raises:
        UsageError: for an unknown name or parameter.
    """
    import ir_measures

    if (own := parse_own(name)) is not None:
        return own
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
        raise UsageError(
            f"unknown measure {name!r} ({error}); try {EXAMPLES}, "
            f"or of mixed languages {', '.join(OWN)}, FourWay"
        ) from None
    check_parameters(measure, name)
    return measure


def unique_judgements(qrels: Judgements) -> list[Judgement]:
    """The judgements as a list.

    Raises:
        UsageError: for none at all, or a pair that is judged twice.
    """
    judged = judgements_of(qrels)
    if not judged:
        raise UsageError("there are no judgements")
    seen: set[tuple[str, str]] = set()
    for j in judged:
        if (j.query_id, j.document_id) in seen:
            raise UsageError(f"query {j.query_id} and document {j.document_id} are judged twice")
        seen.add((j.query_id, j.document_id))
    return judged


def any_judged(run: Run, qrels: Iterable[Judgement]) -> bool:
    """Whether any ranked document is judged for its query; where not, ids may not fit."""
    ranked_ids = {(hit.query_id, hit.document_id) for hits in run.values() for hit in hits}
    return any((j.query_id, j.document_id) in ranked_ids for j in qrels)


def per_query(
    whose: str,
    run: Run,
    qrels: Sequence[Judgement],
    measures: Sequence[Measure | LanguageMeasure],
    pool: Pool | None = None,
) -> Values:
    """Measure → query → value, for every judged query; where it is undefined the query is absent.

    A query that the run lacks has the measure's value for an empty ranking, which is 0; LPR and
    the four-way split are undefined for it.

    Raises:
        UsageError: as `evaluate`; a language-aware measure without `pool`.
    """
    import ir_measures

    query_ids = list(dict.fromkeys(judgement.query_id for judgement in qrels))
    _has_some(whose, run, query_ids)
    scored = [hit for i in query_ids for hit in _by_rank(whose, i, run.get(i, []))]
    names = {str(m): m for m in measures}
    values: Values = {}
    for name, measure in names.items():
        lacks = isinstance(measure, LanguageMeasure) and measure.undefined_when_empty
        values[name] = {} if lacks else dict.fromkeys(query_ids, 0.0)
    own = [m.bound(_needed(m, pool)) for m in measures if isinstance(m, LanguageMeasure)]
    others = [m for m in measures if not isinstance(m, LanguageMeasure)]
    ranked_ids = {hit.query_id for hit in scored}
    rows = [ir_measures.Qrel(j.query_id, j.document_id, j.relevance) for j in qrels]
    found = ir_measures.iter_calc(own, rows, scored) if own and scored else ()
    for metric in chain(found, provided(others, qrels, scored)):
        if metric.query_id not in ranked_ids:
            continue
        if isnan(metric.value):
            values[str(metric.measure)].pop(metric.query_id, None)
        else:
            values[str(metric.measure)][metric.query_id] = float(metric.value)
    return {m: {i: row[i] for i in query_ids if i in row} for m, row in values.items()}


def _has_some(whose: str, run: Run, query_ids: Sequence[str]) -> None:
    if not any(i in run for i in query_ids):
        raise UsageError(
            f"{whose} has none of the {len(query_ids)} judged queries; "
            f"first judged: {query_ids[0]!r}, first ranked: {next(iter(run), 'none')!r}"
        )


def _needed(measure: LanguageMeasure, pool: Pool | None) -> Pool:
    if pool is None:
        raise UsageError(
            f"{measure} needs the languages of queries and documents: give collection=… "
            "(on the command line --collection NAME, or --queries FILE with --documents FILE)"
        )
    return pool


def _by_rank(whose: str, query_id: str, hits: list[ScoredDocument]) -> list[Any]:
    """Scores that fall by trec_eval's rank, so that every provider sees the same order."""
    from ir_measures import ScoredDoc

    for hit in hits:
        if not isfinite(hit.score):
            raise UsageError(
                f"{whose} has the score {hit.score} for query {query_id}, document "
                f"{hit.document_id}; leave such documents out"
            )
    ids = trec_eval_order(hits)
    if len(set(ids)) < len(ids):
        raise UsageError(f"{whose} has a document more than once for query {query_id}")
    return [ScoredDoc(query_id, d, float(len(ids) - rank)) for rank, d in enumerate(ids)]


def aggregate(measure: Measure | LanguageMeasure, values: Mapping[str, float]) -> float:
    """The mean over queries; of counts, such as NumRet, the sum as in trec_eval.

    nan where the measure is undefined for every query.
    """
    if not values:
        return float("nan")
    if isinstance(measure, LanguageMeasure):
        return sum(values.values()) / len(values)
    aggregator = measure.aggregator()
    for value in values.values():
        aggregator.add(value)
    return float(aggregator.result())


def _compare(ours: Values, theirs: Values, seed: int) -> dict[str, Comparison]:
    columns = {}
    for name in ours:
        shared = [i for i in ours[name] if i in theirs[name]]
        if not shared:
            raise UsageError(f"{name} is undefined for every query of both runs; leave it out")
        columns[name] = [ours[name][i] for i in shared], [theirs[name][i] for i in shared]
    p_values = [randomisation_test(a, b, seed=seed) for a, b in columns.values()]
    compared = {}
    for (name, (a, b)), p, corrected in zip(columns.items(), p_values, holm(p_values), strict=True):
        low, high = bootstrap_interval(a, b, seed=seed)
        compared[name] = Comparison(
            baseline=sum(b) / len(b),
            difference=sum(a) / len(a) - sum(b) / len(b),
            low=low,
            high=high,
            p_value=p,
            p_holm=corrected,
            better=sum(x > y for x, y in zip(a, b, strict=True)),
            worse=sum(x < y for x, y in zip(a, b, strict=True)),
            queries=len(a),
        )
    return compared
