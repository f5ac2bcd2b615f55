"""The candidate summaries of an article, and the file that they are kept in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polyrank.collections.files import lacking
from polyrank.collections.jsonl import finite, identity_of, iter_objects
from polyrank.errors import DataError, LanguageError
from polyrank.languages.tags import normalise
from polyrank.notes import Notebook
from polyrank.summaries.articles import Article, identified
from polyrank.summaries.oracle import Plan
from polyrank.summaries.units import Span, texts_of

PLAN, ABSTRACTOR, LIKELIHOOD, RERANKER = "plan", "abstractor", "likelihood", "reranker"


@dataclass(frozen=True)
class Candidate:
    """One summary.

    Attributes:
        number: its place when the candidates were made, from 0.
        plan: units of the article.
        text: the summary.
        scores: of its plan, and of what judged it since, by name; higher is better.
    """

    number: int
    plan: Plan
    text: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one article, best first by `by`; '' for the order they were made in."""

    article: Article
    units: tuple[Span, ...]
    candidates: tuple[Candidate, ...]
    by: str = ""

    @property
    def id(self) -> str:
        """Of the article."""
        return self.article.id

    @property
    def unit_texts(self) -> list[str]:
        """The units as texts."""
        return texts_of(self.article.text, self.units)

    def reordered(self, by: str, scores: list[float] | None = None) -> CandidateSet:
        """Best first by a score; ties by the number.

        Args:
            by: its name.
            scores: one for each candidate, in their order; None for those they have by that name.
        """
        scored = list(self.candidates)
        if scores is not None:
            scored = [
                replace(one, scores={**one.scores, by: score})
                for one, score in zip(scored, scores, strict=True)
            ]
        scored.sort(key=lambda one: (-one.scores[by], one.number))
        return replace(self, candidates=tuple(scored), by=by)


def row_of(found: CandidateSet) -> str:
    """One line of JSON, with its line end; scores keep nine digits."""
    article = found.article
    row = {
        "_id": article.id,
        "language": article.language,
        "text": article.text,
        "reference": article.reference,
        "units": found.units,
        "by": found.by,
        "candidates": [
            {
                "number": one.number,
                "plan": one.plan,
                "text": one.text,
                "scores": {name: float(f"{score:.9g}") for name, score in one.scores.items()},
            }
            for one in found.candidates
        ],
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_candidates(
    path: str | Path, referenced: bool = False, scored: str | None = None
) -> Iterator[CandidateSet]:
    """What `row_of` wrote.

    Args:
        referenced: whether each article must have a reference summary.
        scored: a score that each candidate must have; None for any.

    Raises:
        DataError: a line that is not such a row, lacks the reference or the score, or has an id
            that an earlier line has.
    """
    lines: dict[str, int] = {}
    for number, row in iter_objects(path):
        try:
            found = _candidates(row, path, number)
        except (KeyError, TypeError, ValueError, AttributeError, LanguageError) as error:
            reason = (
                f"not a row of candidates ({lacking(error)}); write them with: "
                "polyrank summaries candidates"
            )
            raise DataError(path, number, reason) from None
        if referenced and not found.article.reference.strip():
            raise DataError(path, number, f"'{found.id}' has no reference summary to compare with")
        if scored is not None and any(scored not in one.scores for one in found.candidates):
            has = ", ".join(found.candidates[0].scores) or "none"
            raise DataError(path, number, f"candidates have no score '{scored}', but {has}")
        if lines.setdefault(found.id, number) != number:
            raise DataError(
                path, number, f"the id {found.id!r} is already on line {lines[found.id]}"
            )
        yield found


def with_languages(sets: Iterable[CandidateSet], notebook: Notebook) -> Iterator[CandidateSet]:
    """The same, each with the language that ROUGE tokenises by; see `identified`."""
    for found in sets:
        yield replace(found, article=identified(found.article, notebook))


def _candidates(row: dict[str, Any], path: str | Path, line: int) -> CandidateSet:
    text, reference, language = row["text"], row.get("reference") or "", row.get("language") or None
    if not isinstance(text, str) or not isinstance(reference, str):
        raise ValueError("'text' or 'reference' is not a text")
    if language is not None and not isinstance(language, str):
        raise ValueError(f"'language' is {language!r:.60}")
    units = tuple((_integer(start), _integer(end)) for start, end in row["units"])
    if not units or not all(0 <= start < end <= len(text) for start, end in units):
        raise ValueError("'units' are not within the text" if units else "there are no 'units'")
    made = tuple(_candidate(one, len(units), path, line) for one in row["candidates"])
    if len({one.number for one in made}) != len(made) or not made:
        raise ValueError("no candidates, or two of one number")
    identity = identity_of(row, path, line)
    article = Article(identity, text, normalise(language) if language else None, reference)
    return CandidateSet(article, units, made, str(row.get("by") or ""))


def _candidate(row: Mapping[str, Any], units: int, path: str | Path, line: int) -> Candidate:
    plan = tuple(_integer(unit) for unit in row["plan"])
    if not all(0 <= unit < units for unit in plan):
        raise ValueError(f"the plan {list(plan)!r:.60} names units that there are not")
    if not isinstance(row["text"], str):
        raise ValueError("a candidate's text is not a text")
    scores = {str(name): finite(score, path, line) for name, score in row["scores"].items()}
    return Candidate(_integer(row["number"]), plan, row["text"], scores)


def _integer(value: Any) -> int:
    """The value; ValueError for 1.7, true or "1", which int() would take."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r:.60} is not a whole number")
    return value
