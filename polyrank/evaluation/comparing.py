"""Several runs against one: tests over per-query values, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from polyrank.collections.records import Collection
from polyrank.collections.texts import Judgements, Runs, run_of
from polyrank.errors import UsageError
from polyrank.evaluation.by_language import Groups, Languages, by_language, by_topic
from polyrank.evaluation.comparisons import Comparisons, Contrast
from polyrank.evaluation.measures import MEASURES, as_pool, parse_measures, unique_judgements
from polyrank.evaluation.missing import same_queries
from polyrank.evaluation.named import LanguageMeasure
from polyrank.evaluation.pool import Pool
from polyrank.evaluation.significance import (
    CORRECTIONS,
    TESTS,
    bootstrap_interval,
    effect_size,
    randomisation_test,
)

if TYPE_CHECKING:
    from ir_measures import Measure

UNITS = ("topic", "query")


@dataclass(frozen=True)
class Settings:
    """How runs are compared; every choice has a name.

    Attributes:
        by: groups that are tested one by one: 'all', 'query-language', 'document-language', 'pair'.
        unit: what counts as one observation: a 'topic', averaged over the languages in which it is
            asked; or each 'query', which takes translations for independent.
        test: 'randomisation' or 't'.
        correction: over all tests of the table: 'holm', 'bonferroni' or 'none'.
        missing: runs over different queries are refused ('refuse'), counted 'zero' where they lack
            one, or compared where all have it ('intersect').
        confidence: of the bootstrap interval.
        resamples, seed: of the randomisation test and the bootstrap.
    """

    by: str = "all"
    unit: str = "topic"
    test: str = "randomisation"
    correction: str = "holm"
    missing: str = "refuse"
    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 13

    @property
    def unit_plural(self) -> str:
        """What the observations are called."""
        return {"topic": "topics", "query": "queries"}[self.unit]

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("unit", self.unit, UNITS),
            ("test", self.test, TESTS),
            ("correction", self.correction, CORRECTIONS),
        ):
            if value not in choices:
                raise UsageError(f"unknown {name} {value!r}; use one of {', '.join(choices)}")
        if not 0 < self.confidence < 1:
            raise UsageError(f"confidence is {self.confidence:g}; give a share between 0 and 1")
        if self.resamples < 1 or self.seed < 0:
            raise UsageError(
                f"{self.resamples} resamples with seed {self.seed}: give 1 or more, and a seed of "
                "0 or more"
            )


def compare(
    runs: Mapping[str, Runs],
    qrels: Judgements,
    measures: str | Sequence[str] = MEASURES,
    baseline: str | None = None,
    *,
    collection: Collection | Pool | None = None,
    settings: Settings | None = None,
) -> Comparisons:
    """Test every run against the baseline, on every measure, in every group of languages.

    Only judged queries that a run has are compared, as `same_queries` says.

    Args:
        runs: name → run; two or more.
        qrels: judgements.
        measures: as in `evaluate`.
        baseline: the name of the run to compare with; the first when None.
        collection: languages and parallel groups.
        settings: groups, test, correction, and the rest.

    Raises:
        UsageError: for fewer than two runs, an unknown baseline, runs over different queries, and
            as `evaluate`.
    """
    settings = settings or Settings()
    parsed, judged, pool = parse_measures(measures), unique_judgements(qrels), as_pool(collection)
    found_runs = {name: run_of(run) for name, run in runs.items()}
    reference = baseline if baseline is not None else next(iter(runs), "")
    if len(runs) < 2 or reference not in runs:
        raise UsageError(
            f"compare needs two or more runs, one of them the baseline {reference!r}; "
            f"got {', '.join(runs) or 'none'}"
        )
    query_ids = list(dict.fromkeys(j.query_id for j in judged))
    values = {
        name: by_language(name, run, judged, parsed, pool, settings.by)
        for name, run in found_runs.items()
    }
    kept = same_queries(found_runs, query_ids, settings.missing)
    left_out = [i for i in query_ids if i not in kept]
    found = compare_values(values, reference, parsed, pool, settings, kept)
    return replace(found, left_out=len(left_out))


def compare_values(
    values: Mapping[str, Groups],
    baseline: str,
    measures: Sequence[Measure | LanguageMeasure],
    pool: Pool | None = None,
    settings: Settings | None = None,
    kept: set[str] | None = None,
) -> Comparisons:
    """`compare`, of values that are there already.

    Args:
        values: name → languages → measure → query → value.
        baseline: one of the names.
        kept: queries that count; None for all, of which every run must then have the same.

    Raises:
        UsageError: for groups or queries that differ between runs, or a measure that is defined
            for no query of both.
    """
    settings = settings or Settings()
    rows: list[Contrast] = []
    for languages, theirs in values[baseline].items():
        for system, groups in values.items():
            if system == baseline:
                continue
            if groups.keys() != values[baseline].keys():
                raise UsageError(f"{system} and {baseline} have different languages")
            for measure in map(str, measures):
                ours = groups[languages][measure]
                pair = _paired(ours, theirs[measure], kept, pool, settings.unit)
                if not pair[0]:
                    where = "" if languages == Languages() else f" in {languages}"
                    raise UsageError(
                        f"{measure} is undefined for every query that {system} and {baseline} share"
                        f"{where}; leave it out"
                    )
                rows.append(_contrast(languages, measure, (system, baseline), pair, settings))
    corrected = CORRECTIONS[settings.correction]([row.p_value for row in rows])
    rows = [replace(row, p_corrected=p) for row, p in zip(rows, corrected, strict=True)]
    return Comparisons(tuple(rows), baseline, settings)


Pair = tuple[list[float], list[float], int]  # values, the baseline's, and of how many queries


def _paired(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    kept: set[str] | None,
    pool: Pool | None,
    unit: str,
) -> Pair:
    """Values of the queries that count and where both runs define the measure."""
    shared = [i for i in ours if i in theirs and (kept is None or i in kept)]
    a, b = {i: ours[i] for i in shared}, {i: theirs[i] for i in shared}
    if unit == "topic":
        a, b = by_topic(a, pool), by_topic(b, pool)
    return list(a.values()), list(b.values()), len(shared)


def _contrast(
    languages: Languages, measure: str, names: tuple[str, str], pair: Pair, settings: Settings
) -> Contrast:
    a, b, queries = pair
    if settings.test == "t":
        p = TESTS["t"](a, b)
    else:
        p = randomisation_test(a, b, settings.resamples, settings.seed)
    low, high = bootstrap_interval(a, b, settings.confidence, settings.resamples, settings.seed)
    better = sum(x > y for x, y in zip(a, b, strict=True))
    worse = sum(x < y for x, y in zip(a, b, strict=True))
    return Contrast(
        languages=languages,
        measure=measure,
        system=names[0],
        baseline=names[1],
        queries=queries,
        units=len(a),
        value=sum(a) / len(a),
        baseline_value=sum(b) / len(b),
        low=low,
        high=high,
        p_value=p,
        p_corrected=p,
        effect=effect_size(a, b),
        better=better,
        worse=worse,
    )
