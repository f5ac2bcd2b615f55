"""Values by language of the query, language of the documents, or the pair of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyrank.collections.records import Judgement, Run
from polyrank.errors import UsageError
from polyrank.evaluation.measures import Values, aggregate, per_query
from polyrank.evaluation.named import LanguageMeasure
from polyrank.evaluation.pool import Pool

if TYPE_CHECKING:
    from ir_measures import Measure

BY = ("all", "query-language", "document-language", "pair")


@dataclass(frozen=True, order=True)
class Languages:
    """What a group of queries has in common; None where languages are not told apart."""

    query: str | None = None
    document: str | None = None

    def __str__(self) -> str:
        if self.query and self.document:
            return f"{self.query}→{self.document}"
        return self.query or self.document or "all"


Groups = dict[Languages, Values]  # languages → measure → query → value


def by_language(
    whose: str,
    run: Run,
    qrels: Sequence[Judgement],
    measures: Sequence[Measure | LanguageMeasure],
    pool: Pool | None = None,
    by: str = "all",
) -> Groups:
    """Values per query, in groups of languages.

    By language of documents, and by pair, a run over documents of several languages is measured
    once for each: only documents of that language are left in the ranking and in the judgements, as
    if it had been searched alone. Language-aware measures are of mixed rankings, so they can be had
    by 'all' and by 'query-language' only.

    Args:
        whose: the run's name, for messages.
        by: one of BY.
        pool: languages; needed unless by 'all'.

    Raises:
        UsageError: for an unknown `by`, languages that are unknown, or a language-aware measure
            of a run that was taken apart.
    """
    if by not in BY:
        raise UsageError(f"there is no division by {by!r}; choose {', '.join(BY)}")
    if by == "all":
        return {Languages(): per_query(whose, run, qrels, measures, pool)}
    if pool is None:
        raise UsageError(
            f"results by {by} need the languages of queries and documents:  --collection NAME, "
            "or --queries FILE with --documents FILE"
        )
    found: Groups = {}
    for document, part, judged in _parts(run, qrels, measures, pool, by):
        values = per_query(whose, part, judged, measures, pool)
        for name, row in values.items():
            for query_id, value in row.items():
                query = None if by == "document-language" else pool.query_language(query_id)
                group = found.setdefault(Languages(query, document), {m: {} for m in values})
                group[name][query_id] = value
    return dict(sorted(found.items(), key=lambda item: str(item[0])))


Part = tuple[str | None, Run, Sequence[Judgement]]


def _parts(
    run: Run,
    qrels: Sequence[Judgement],
    measures: Sequence[Measure | LanguageMeasure],
    pool: Pool,
    by: str,
) -> list[Part]:
    """(language of documents, what of the run is in it, what of the judgements is)."""
    if by == "query-language":
        return [(None, run, qrels)]
    languages = sorted({pool.document_language(j.document_id) for j in qrels})
    if len(languages) == 1:
        return [(languages[0], run, qrels)]
    for measure in measures:
        if isinstance(measure, LanguageMeasure):
            raise UsageError(
                f"{measure} is about documents of several languages in one ranking, which results "
                f"by {by} take apart; ask for it by query-language, or for all"
            )
    parts: list[Part] = []
    for language in languages:
        kept = {
            query_id: [h for h in hits if pool.document_language(h.document_id) == language]
            for query_id, hits in run.items()
        }
        judged = [j for j in qrels if pool.document_language(j.document_id) == language]
        parts.append((language, kept, judged))
    return parts


def means(
    groups: Groups, measures: Sequence[Measure | LanguageMeasure]
) -> dict[str, dict[Languages, float]]:
    """Measure → languages → mean (of counts, the sum); nan where it is undefined throughout."""
    return {
        str(m): {languages: aggregate(m, values[str(m)]) for languages, values in groups.items()}
        for m in measures
    }


def topic_of(query_id: str, language: str | None) -> str:
    """What a query asks, whatever its language: its id without a last part that is its language.

    >>> topic_of("xq000-0.tr", "tr"), topic_of("141", "fi")
    ('xq000-0', '141')
    """
    return query_id.removesuffix(f".{language}") if language else query_id


def by_topic(values: Mapping[str, float], pool: Pool | None) -> dict[str, float]:
    """A topic's mean over the languages in which it is asked.

    The same topic in several languages is not an independent observation: tested as if it were,
    every language counts as new evidence, and p-values come out too small.
    """
    found: dict[str, list[float]] = {}
    languages = pool.query_languages if pool else {}
    for query_id, value in values.items():
        found.setdefault(topic_of(query_id, languages.get(query_id)), []).append(value)
    return {topic: sum(row) / len(row) for topic, row in found.items()}
