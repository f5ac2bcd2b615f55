"""Orders the candidates of each article anew, by a likelihood or by a reranker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polyrank.collections.records import Document, Query
from polyrank.rerankers.base import Request, Reranker
from polyrank.summaries.candidates import LIKELIHOOD, RERANKER, CandidateSet
from polyrank.summaries.likelihood import Likelihood

ASKED = 3  # units


def by_likelihood(sets: Iterable[CandidateSet], likelihood: Likelihood) -> Iterator[CandidateSet]:
    """By how likely a model finds each summary, given the article without a plan."""
    for found in sets:
        texts = [one.text for one in found.candidates]
        yield found.reordered(LIKELIHOOD, likelihood(found.article.text, texts))


def question_of(found: CandidateSet, asked: int = ASKED) -> str:
    """What a reranker is asked: the first units of the article; 0 for all of it."""
    if not asked:
        return found.article.text
    start, end = found.units[0][0], found.units[:asked][-1][1]
    return found.article.text[start:end]


def by_reranker(
    sets: Iterable[CandidateSet], reranker: Reranker, asked: int = ASKED
) -> Iterator[CandidateSet]:
    """By any reranker: the question is the article's beginning, the documents are its candidates.

    Args:
        asked: see `question_of`.
    """
    waiting: list[CandidateSet] = []

    def requests() -> Iterator[Request]:
        for found in sets:
            waiting.append(found)
            language = found.article.language
            documents = (Document(str(c.number), c.text, "", language) for c in found.candidates)
            query = Query(found.article.id, question_of(found, asked), language)
            yield Request(query, tuple(documents))

    for ranking in reranker.rank_all(requests()):
        found = waiting.pop(0)
        scores = {hit.document_id: hit.score for hit in ranking.hits}
        yield found.reordered(RERANKER, [scores[str(one.number)] for one in found.candidates])
