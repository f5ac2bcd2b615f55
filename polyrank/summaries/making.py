"""From articles to their candidates: units, plans, and a summary of each plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from zlib import crc32

from polyrank.errors import UsageError
from polyrank.notes import Notebook
from polyrank.summaries.abstractor import Abstractor
from polyrank.summaries.articles import Article, identified
from polyrank.summaries.candidates import ABSTRACTOR, PLAN, Candidate, CandidateSet
from polyrank.summaries.search import Planned, Planner, Steps, beam, sample
from polyrank.summaries.units import Span, extract, units_of


@dataclass(frozen=True)
class Making:
    """How candidates are made.

    Attributes:
        planner: what proposes plans.
        abstractor: what writes a summary of a plan; None for the plan's units themselves.
        fineness: of the units, 'clause' or 'sentence'.
        plans: different plans of an article.
        sampled: whether plans are drawn, or found by a beam.
        temperature, seed: of drawing.

    Raises:
        UsageError: a temperature or a seed that nothing can be drawn with.
    """

    planner: Planner
    abstractor: Abstractor | None = None
    fineness: str = "clause"
    plans: int = 16
    sampled: bool = False
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < inf or self.seed < 0:
            raise UsageError(
                f"temperature {self.temperature} and seed {self.seed}: give a finite temperature "
                "above 0, and a seed of 0 or more"
            )

    def __call__(self, articles: Iterable[Article], notebook: Notebook) -> Iterator[CandidateSet]:
        """The candidates of each article, in order; an article without units, or of which nothing
        was written, is left out.

        Args:
            notebook: gets what was left out, and languages that were identified.
        """
        for one in articles:
            article = identified(one, notebook)
            units = units_of(article.text, article.language, self.fineness)
            if not units:
                notebook.add("empty", "articles without a word are left out")
                continue
            found = self._set(article, units, notebook)
            if found.candidates:
                yield found
            else:
                notebook.add("other", "articles of which nothing was written are left out")

    def _set(self, article: Article, units: tuple[Span, ...], notebook: Notebook) -> CandidateSet:
        planned = self._planned(self.planner.steps(article, units), article, len(units))
        made: dict[str, Candidate] = {}  # by text: the same one is no other candidate
        for text, scores, one in self._texts(article, units, planned):
            if not text or text in made:
                notebook.add("other", "summaries that are empty or another's text are left out")
                continue
            made[text] = Candidate(len(made), one.plan, text, {PLAN: one.score, **scores})
        return CandidateSet(article, units, tuple(made.values()))

    def _planned(self, steps: Steps, article: Article, units: int) -> list[Planned]:
        longest = self.planner.longest
        if not self.sampled:
            return beam(steps, self.plans, longest, width=max(self.plans, units))
        seed = (self.seed, crc32(article.id.encode()))
        return sample(steps, self.plans, longest, seed, self.temperature)

    def _texts(
        self, article: Article, units: tuple[Span, ...], planned: Sequence[Planned]
    ) -> Iterator[tuple[str, dict[str, float], Planned]]:
        if self.abstractor is None:
            for one in planned:
                yield extract(article.text, units, one.plan), {}, one
            return
        written = self.abstractor(article.text, units, [one.plan for one in planned])
        for one, texts in zip(planned, written, strict=True):
            for text in texts:
                yield text.text, {ABSTRACTOR: text.score}, one
