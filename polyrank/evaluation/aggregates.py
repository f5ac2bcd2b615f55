"""A value per language, summed up: mean, worst, gap, and MultiLoKo's effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from statistics import fmean, pstdev

from polyrank.errors import UsageError
from polyrank.evaluation.by_language import topic_of


@dataclass(frozen=True)
class Aggregates:
    """Over languages, each counting once however many queries it has.

    Attributes:
        languages: how many.
        mean: over languages, not over queries.
        best, worst: the languages, and their values.
        gap: best minus worst (MultiLoKo, arXiv 2504.10356).
        std: standard deviation of the population of languages.
        worst_k: k, and the mean of the k lowest values.
    """

    languages: int
    mean: float
    best: tuple[str, float]
    worst: tuple[str, float]
    gap: float
    std: float
    worst_k: tuple[int, float]

    def __str__(self) -> str:
        k, low = self.worst_k
        return (
            f"mean of {self.languages} languages {self.mean:.4f}, "
            f"worst {self.worst[0]} {self.worst[1]:.4f}, best {self.best[0]} {self.best[1]:.4f}, "
            f"gap {self.gap:.4f}, std {self.std:.4f}, mean of the worst {k} {low:.4f}"
        )


def aggregates(values: Mapping[str, float], k: int = 3) -> Aggregates:
    """Sum up a value per language (or per pair of languages).

    Args:
        values: language → value; languages where it is nan, for undefined, are left out.
        k: of the mean over the worst; at most as many as there are.

    Raises:
        UsageError: when no language has a value, or k is below 1.
    """
    kept = sorted(((v, name) for name, v in values.items() if not isnan(v)))
    if not kept:
        raise UsageError("no language has a value to summarise")
    if k < 1:
        raise UsageError(f"k is {k}; give 1 or more worst languages")
    numbers = [value for value, _ in kept]
    k = min(k, len(numbers))
    return Aggregates(
        languages=len(numbers),
        mean=fmean(numbers),
        best=(kept[-1][1], kept[-1][0]),
        worst=(kept[0][1], kept[0][0]),
        gap=numbers[-1] - numbers[0],
        std=pstdev(numbers),
        worst_k=(k, fmean(numbers[:k])),
    )


def mother_tongue_effect(
    values: Mapping[str, Mapping[str, float]], reference: str = "en"
) -> dict[str, float]:
    """Language → mean over topics of its value minus the value of the same topic in `reference`.

    MultiLoKo's mother-tongue effect (arXiv 2504.10356), for retrieval: what it costs or brings to
    ask in one's own language rather than in English.

    Args:
        values: language of the query → query → value. Queries of a topic have the same id, or ids
            that end in their language, as `topic_of` reads them.
        reference: the language to compare with.

    Raises:
        UsageError: without the reference, or when a language has other topics than it.
    """
    if reference not in values:
        raise UsageError(
            f"no queries are in {reference!r}; query languages: {', '.join(sorted(values))}"
        )
    asked = {
        language: {topic_of(query_id, language): value for query_id, value in row.items()}
        for language, row in values.items()
    }
    effects = {}
    for language, row in asked.items():
        if language == reference:
            continue
        if row.keys() != asked[reference].keys():
            raise UsageError(
                f"the topics in {language} are not those in {reference}: the effect needs the same "
                "queries in both languages"
            )
        effects[language] = fmean(row[topic] - asked[reference][topic] for topic in row)
    return effects


def locality_effect(
    local: Mapping[str, Mapping[str, float]], translated: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Language → mean over queries that were written in it, minus mean over translated ones.

    MultiLoKo's locality effect (arXiv 2504.10356): the two sets hold other questions, so they are
    compared by their means.

    Args:
        local, translated: language → query → value.

    Raises:
        UsageError: when the languages differ, or one has no queries.
    """
    if local.keys() != translated.keys():
        differing = ", ".join(sorted(local.keys() ^ translated.keys()))
        raise UsageError(
            f"the locality effect needs both runs in each language; one is missing in {differing}"
        )
    for language in local:
        if not local[language] or not translated[language]:
            raise UsageError(f"there are no queries in {language}")
    return {x: fmean(local[x].values()) - fmean(translated[x].values()) for x in local}
