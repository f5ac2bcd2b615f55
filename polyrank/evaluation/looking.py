"""One run or two, query by query, as something to look at: texts, judgements, values, differences.

The page of `polyrank.server.page` shows it, and `polyrank view` writes it. Plain types, for JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Document, Judgement, Query, Run, ScoredDocument
from polyrank.errors import UsageError
from polyrank.evaluation.by_language import BY, by_language, by_topic
from polyrank.evaluation.measures import (
    MEASURES,
    parse_measures,
    per_query,
    unique_judgements,
)
from polyrank.evaluation.missing import same_queries
from polyrank.evaluation.named import LanguageMeasure
from polyrank.evaluation.pool import Pool
from polyrank.evaluation.rank_correlation import tau_ap_of_shared
from polyrank.evaluation.significance import bootstrap_interval

if TYPE_CHECKING:
    from ir_measures import Measure

FORMAT_VERSION = 1
DEPTH = 20  # documents of each run that are shown
Values = Mapping[str, Mapping[str, float]]  # measure → query → value


@dataclass(frozen=True)
class Texts:
    """What runs are about. Records that are missing are shown by their ids.

    name: of the collection. queries, documents: by id.
    """

    name: str
    queries: Mapping[str, Query]
    documents: Mapping[str, Document]


def looked_at(
    runs: Mapping[str, Run],
    qrels: Iterable[Judgement],
    texts: Texts,
    measures: str | Sequence[str] = MEASURES,
    *,
    pool: Pool | None = None,
    depth: int = DEPTH,
    limit: int | None = None,
    missing: str = "refuse",
    seed: int = 13,
) -> dict[str, Any]:
    """Runs beside each other.

    Queries are those that are judged and that a run has, the largest difference of the first
    measure first. Values are those of `evaluate`, intervals those of `bootstrap_interval` over
    topics. `tau_ap` compares the first `depth` documents that both runs have.

    Args:
        runs: name → run; one or two.
        measures: as in `evaluate`.
        pool: languages and parallel groups; without it nothing is told by language.
        depth: documents of each run.
        limit: queries that are shown; means are over all of them nevertheless.
        missing: as of `same_queries`.
        seed: of the intervals.

    Returns:
        collection, runs, measures, depth, groups (by what → languages with their means), queries,
        documents (id → record); `query_count` is how many queries there are in all.

    Raises:
        UsageError: no runs or more than two, and as `evaluate`.
    """
    if not 1 <= len(runs) <= 2:
        raise UsageError(f"one run or two can be looked at, not {len(runs)}")
    parsed, judged = parse_measures(measures), unique_judgements(qrels)
    asked = list(dict.fromkeys(j.query_id for j in judged))
    kept = same_queries(runs, asked, missing)
    judged = [j for j in judged if j.query_id in kept]
    whole = {name: per_query(name, run, judged, parsed, pool) for name, run in runs.items()}
    relevance: dict[str, dict[str, int]] = {}
    for one in judged:
        relevance.setdefault(one.query_id, {})[one.document_id] = one.relevance
    queries = [
        _query(query_id, runs, whole, relevance[query_id], texts, pool, depth)
        for query_id in relevance
    ]
    first = str(parsed[0])
    queries.sort(key=lambda query: (-_distance(query["values"][first]), query["id"]))
    shown = queries[:limit]
    return {
        "format_version": FORMAT_VERSION,
        "collection": texts.name,
        "runs": list(runs),
        "measures": [str(measure) for measure in parsed],
        "depth": depth,
        "groups": _groups(runs, judged, parsed, pool, seed),
        "query_count": len(queries),
        "queries": shown,
        "documents": _documents(shown, texts, pool),
    }


def _query(
    query_id: str,
    runs: Mapping[str, Run],
    values: Mapping[str, Values],
    relevance: Mapping[str, int],
    texts: Texts,
    pool: Pool | None,
    depth: int,
) -> dict[str, Any]:
    """A query with the first documents of each run and what is judged of them."""
    record = texts.queries.get(query_id)
    hits = [run.get(query_id, [])[:depth] for run in runs.values()]
    orders = [[hit.document_id for hit in own] for own in hits]
    return {
        "id": query_id,
        "text": record.text if record else None,
        "language": _known(record, pool.query_languages if pool else None, query_id),
        "values": {
            measure: [values[name][measure].get(query_id) for name in runs]
            for measure in next(iter(values.values()))
        },
        "tau_ap": tau_ap_of_shared(*orders) if len(orders) == 2 else None,
        "relevant": sum(value > 0 for value in relevance.values()),
        "judged": {i: relevance[i] for own in orders for i in own if i in relevance},
        "hits": [[_hit(hit) for hit in own] for own in hits],
    }


def _hit(hit: ScoredDocument) -> dict[str, Any]:
    return {"id": hit.document_id, "score": hit.score}


def _known(
    record: Query | Document | None, languages: Mapping[str, str] | None, identity: str
) -> str | None:
    """The language of a record, or what is told of its id."""
    return (record.language if record else None) or (languages or {}).get(identity)


def _documents(
    queries: Sequence[Mapping[str, Any]], texts: Texts, pool: Pool | None
) -> dict[str, Any]:
    """The documents of all hits, by id."""
    found = {}
    for identity in dict.fromkeys(
        hit["id"] for query in queries for own in query["hits"] for hit in own
    ):
        record = texts.documents.get(identity)
        found[identity] = {
            "text": record.text if record else None,
            "title": record.title if record else "",
            "language": _known(record, pool.document_languages if pool else None, identity),
        }
    return found


def _distance(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if known else 0.0


# --- means ----------------------------------------------------------------------------------------


def _groups(
    runs: Mapping[str, Run],
    judged: Sequence[Judgement],
    measures: Sequence[Measure | LanguageMeasure],
    pool: Pool | None,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """By what → a row for each group of languages, with the means of each measure.

    What tells nothing is left out: no languages, one alone, or those of the documents of a ranking
    for a measure that needs them together.
    """
    found = {}
    for by in BY:
        apart = by in ("document-language", "pair")
        used = [m for m in measures if not (apart and isinstance(m, LanguageMeasure))]
        if not used or not _told(by, runs, judged, pool):
            continue
        groups = [by_language(name, run, judged, used, pool, by) for name, run in runs.items()]
        if by == "all" or len(groups[0]) > 1:
            found[by] = [
                {
                    "name": str(languages),
                    "measures": {
                        str(m): _means([own[languages][str(m)] for own in groups], pool, seed)
                        for m in used
                        if set.intersection(*(set(own[languages][str(m)]) for own in groups))
                    },
                }
                for languages in groups[0]
                if all(languages in own for own in groups)
            ]
    return found


def _told(by: str, runs: Mapping[str, Run], judged: Sequence[Judgement], pool: Pool | None) -> bool:
    """Whether the languages of every query or document that a division needs are known."""
    if by == "all":
        return True
    if pool is None:
        return False
    known = True
    if by != "document-language":
        known = {j.query_id for j in judged} <= pool.query_languages.keys()
    if by in ("document-language", "pair"):
        ids = {j.document_id for j in judged}
        ids |= {hit.document_id for run in runs.values() for hits in run.values() for hit in hits}
        known = known and ids <= pool.document_languages.keys()
    return known


def _means(values: Sequence[Mapping[str, float]], pool: Pool | None, seed: int) -> dict[str, Any]:
    """The mean of each run and their difference, over topics, with 95 % intervals."""
    shared = [i for i in values[0] if all(i in own for own in values)]
    columns = [list(by_topic({i: own[i] for i in shared}, pool).values()) for own in values]
    nothing = [0.0] * len(columns[0])
    row: dict[str, Any] = {
        "topics": len(columns[0]),
        "queries": len(shared),
        "means": [_interval(column, nothing, seed) for column in columns],
    }
    if len(columns) == 2:
        row["difference"] = _interval(columns[1], columns[0], seed)
    return row


def _interval(ours: Sequence[float], theirs: Sequence[float], seed: int) -> list[float]:
    """Mean difference, and the low and high end of its interval."""
    mean = (sum(ours) - sum(theirs)) / len(ours)
    return [mean, *bootstrap_interval(ours, theirs, seed=seed)]
