"""Why a document scored as it did: which of its parts answer which parts of the query.

Late interaction says so itself: a score is a sum over the query's tokens of each one's similarity
to the document token that is most like it (Khattab & Zaharia 2020, arXiv 2004.12832), so the
winners are the explanation, exactly, and across languages. A model that reads query and document
together is asked by occlusion (Zeiler & Fergus 2014, arXiv 1311.2901): how much does the score fall
when a sentence is left out?
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from polyrank.collections.records import Document, Query
from polyrank.collections.texts import as_documents, one_query
from polyrank.errors import UsageError

if TYPE_CHECKING:
    from polyrank.late_interaction.model import LateInteraction
    from polyrank.rerankers.base import Scorer

Span = tuple[int, int]  # of characters: the first, and the one after the last

MOST_SENTENCES = 64
# A sentence ends at a full stop, question or exclamation mark of any script, with what closes it.
_ENDS = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？．])[」』”]*\s*|(?<=[।॥؟۔።։])\s*|\n+")


@dataclass(frozen=True)
class Match:
    """A query token and the document token that is most like it.

    query, document: their characters; None for a token that stands for no text, such as [MASK].
    similarity: of both; the score is the sum of all.
    """

    query: Span | None
    document: Span | None
    similarity: float


@dataclass(frozen=True)
class Contribution:
    """A sentence, and how much the score falls without it."""

    document: Span
    difference: float


@dataclass(frozen=True)
class Explanation:
    """What made a document's score.

    Spans count Unicode code points, in the query's text and the document's `full_text`.

    Attributes:
        score: of the pair.
        matches: of late interaction, in the order of the query's tokens.
        contributions: of other models, in the order of the document's sentences.
    """

    query: Query
    document: Document
    score: float
    matches: tuple[Match, ...] = ()
    contributions: tuple[Contribution, ...] = ()

    def record(self) -> dict[str, Any]:
        """As JSON has it, with the words of every span."""
        asked, found = self.query.text, self.document.full_text

        def words(text: str, span: Span | None) -> str | None:
            return None if span is None else text[slice(*span)]

        return {
            "query_id": self.query.id,
            "query_language": self.query.language,
            "document_id": self.document.id,
            "document_language": self.document.language,
            "score": self.score,
            "matches": [
                {
                    **asdict(match),
                    "query_text": words(asked, match.query),
                    "document_text": words(found, match.document),
                }
                for match in self.matches
            ],
            "contributions": [
                {**asdict(one), "document_text": words(found, one.document)}
                for one in self.contributions
            ],
        }

    def spans(self, threshold: float = 0.0, most: int | None = None) -> list[tuple[Span, float]]:
        """The parts of the document that speak for it, best first, with what each is worth.

        Of late interaction these are the winning tokens, neighbours joined, with their highest
        similarity; of other models sentences, with their share of what leaving out costs.

        Args:
            threshold: what a part must be worth at least.
            most: parts.
        """
        if self.matches:
            found = _joined(self.matches, self.document.full_text, threshold)
        else:
            total = sum(max(0.0, one.difference) for one in self.contributions)
            found = [
                (one.document, one.difference / total)
                for one in self.contributions
                if one.difference > 0 and one.difference / total >= threshold
            ]
        return sorted(found, key=lambda part: (-part[1], part[0]))[:most]


def explain(
    reranker: Any,
    query: str | Query,
    documents: str | Document | Sequence[str | Document],
    query_language: str | None = None,
    document_language: str | None = None,
    **options: Any,
) -> list[Explanation]:
    """What in each document answers the query, in the order given.

    Args:
        reranker: what `load_reranker` takes: a name, folder, spec, or a reranker.
        query, documents: texts or records.
        query_language, document_language: for texts and for records without a language.
        options: fields of `RerankerSpec`, where the reranker is not loaded yet.

    Raises:
        UsageError: a reranker that ranks whole lists, in which no document has a score of its own.

    Example:
        explain("e5-small", "Ni ryari?", ["It was in 1994."], query_language="rw")[0].matches
    """
    from polyrank.rerankers.load import load_reranker

    if not hasattr(reranker, "rank_all") and not hasattr(reranker, "score"):
        reranker = load_reranker(reranker, **options)
    asked = one_query(query, query_language)
    given = [documents] if isinstance(documents, str | Document) else documents
    return explained(reranker, asked, as_documents(given, document_language))


def explained(reranker: Any, query: Query, documents: Sequence[Document]) -> list[Explanation]:
    """`explain` of records by a loaded reranker.

    Raises:
        UsageError: a reranker that ranks whole lists.
    """
    if hasattr(reranker, "document_spans"):
        return [matched(reranker, query, document) for document in documents]
    scorer = reranker if hasattr(reranker, "score") else getattr(reranker, "scorer", None)
    if scorer is None or not getattr(reranker, "pointwise", True):
        raise UsageError(
            "this reranker ranks a list as a whole, so no part of a document has a score.\n"
            "Explain with a cross-encoder or a late-interaction model."
        )
    return [occluded(scorer, query, document) for document in documents]


def matched(model: LateInteraction, query: Query, document: Document) -> Explanation:
    """The winner of each query token, by the kernel that scores."""
    from polyrank.kernels import autograd, contract

    # Each side is told the other's language, for routings that take it from there.
    query, document = _with_languages(model, query, document)
    (asked,) = model.encode_queries([query], document_language=document.language or "und")
    (held,) = model.encode_documents([document], query_language=query.language or "und")
    problem = contract.Problem(  # one query (n, dim) and one document (m, dim)
        contract.padded("queries", asked[None], None),
        contract.padded("documents", held[None], None),
        columns=1,
    )
    scores, winners = autograd.forward(asked, held, problem, argmax=True)
    assert winners is not None
    places = winners[:, 0].tolist()  # (n,): where each query token's winner stands
    similarities = (asked * held[winners[:, 0].long()]).sum(dim=1).tolist()
    (query_spans,) = model.query_spans([query])
    (document_spans,) = model.document_spans([document])
    matches = [
        Match(span, document_spans[place], similarity)
        for span, place, similarity in zip(query_spans, places, similarities, strict=True)
    ]
    return Explanation(query, document, float(scores[0, 0]), tuple(matches))


def occluded(scorer: Scorer, query: Query, document: Document) -> Explanation:
    """What each sentence adds to the score, by leaving it out.

    Of a document of one sentence that is all of it, against a document without text.
    """
    text = document.full_text
    spans = sentences(text)
    without = [
        replace(document, text=f"{text[:start]}{text[end:]}".strip(), title="")
        for start, end in spans
    ]
    whole, *others = scorer.score([(query, document), *((query, other) for other in without)])
    contributions = [
        Contribution(span, whole - other) for span, other in zip(spans, others, strict=True)
    ]
    return Explanation(query, document, whole, contributions=tuple(contributions))


def sentences(text: str, most: int = MOST_SENTENCES) -> list[Span]:
    """The sentences of a text in any script, without the blanks around them.

    Args:
        most: sentences; in a longer text neighbours are taken together.

    >>> sentences("It boils. Where? 水沸腾了。好！")
    [(0, 9), (10, 16), (17, 22), (22, 24)]
    """
    borders = [0, *(match.end() for match in _ENDS.finditer(text)), len(text)]
    spans = []
    for start, end in zip(borders, borders[1:], strict=False):
        part = text[start:end]
        if stripped := part.strip():
            begin = start + len(part) - len(part.lstrip())
            spans.append((begin, begin + len(stripped)))
    together = -(-len(spans) // most) or 1
    groups = [spans[place : place + together] for place in range(0, len(spans), together)]
    return [(group[0][0], group[-1][1]) for group in groups]


def _with_languages(
    model: LateInteraction, query: Query, document: Document
) -> tuple[Query, Document]:
    """Both with the languages that the model would find."""
    if model.routing == "none":
        return query, document
    (asked,) = model.identified([query])
    (held,) = model.identified([document])
    return replace(query, language=asked), replace(document, language=held)


def _joined(matches: Sequence[Match], text: str, threshold: float) -> list[tuple[Span, float]]:
    """Winning tokens, those that touch or have only blanks between them as one part."""
    best: dict[Span, float] = {}
    for match in matches:
        if match.document is not None and match.similarity >= threshold:
            before = best.get(match.document, match.similarity)
            best[match.document] = max(before, match.similarity)
    parts: list[tuple[Span, float]] = []
    for (start, end), worth in sorted(best.items()):
        if parts and not text[parts[-1][0][1] : start].strip():
            (first, last), earlier = parts[-1]
            parts[-1] = (first, max(last, end)), max(earlier, worth)
        else:
            parts.append(((start, end), worth))
    return parts
