"""Plans without a trained model: the units most central to the article."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polyrank.base import Base
from polyrank.errors import UsageError
from polyrank.notes import Notebook
from polyrank.summaries.articles import Article
from polyrank.summaries.oracle import Plan
from polyrank.summaries.search import Steps
from polyrank.summaries.units import Span, texts_of

DAMPING = 0.85
TEMPERATURE = 0.05  # of cosines: those of E5 lie close together
ROUNDS, ENOUGH = 200, 1e-9


def centrality(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """How central each unit is: PageRank of the graph of their similarities, after LexRank (Erkan
    and Radev 2004, arXiv 1109.2128, continuous).

    The weight of an edge is exp(cosine / `TEMPERATURE`), a unit has none to itself, and the rows
    are normalised.

    Args:
        vectors: of the units, of length 1: (U, H).

    Returns:
        Probabilities, (U,).
    """
    count = len(vectors)
    if count < 2:
        return np.ones(count)
    weights = np.exp((vectors @ vectors.T).astype(np.float64) / TEMPERATURE)  # (U, U)
    np.fill_diagonal(weights, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    ranks = np.full(count, 1 / count)
    for _ in range(ROUNDS):
        before, ranks = ranks, (1 - DAMPING) / count + DAMPING * (ranks @ weights)
        if np.abs(ranks - before).max() < ENOUGH:
            break
    return ranks


class Central:
    """Proposes plans of `longest` units; a plan is as likely as its units are central.

    A unit longer than what the base reads is cut, and counted in the notebook.

    Args:
        base: whose pooled vectors say how similar units are.
        longest: units of a plan; all of an article that has fewer.
        device: by default a GPU when there is one.

    Raises:
        UsageError: fewer than one unit.
    """

    def __init__(self, base: Base, longest: int = 3, device: str | None = None) -> None:
        if longest < 1:
            raise UsageError(f"a plan of {longest} units says nothing; give 1 or more")
        from polyrank.encoders.plain import PlainEncoder
        from polyrank.encoders.tokens import position_limit

        self.base, self.longest = base, longest
        self.notebook = Notebook()
        self.limit = min(base.card.reads, position_limit(base.model.config))
        self._encoder = PlainEncoder(base, device)

    def steps(self, article: Article, units: tuple[Span, ...]) -> Steps:
        from polyrank.index.dense import encode

        prefix = self.base.card.passage_prefix
        texts = [prefix + text for text in texts_of(article.text, units)]
        rows = self.base.tokenizer(texts, verbose=False)["input_ids"]
        self.notebook.add(
            "cut", f"units cut to the {self.limit} tokens that {self.base.name} reads",
            sum(len(row) > self.limit for row in rows),
        )  # fmt: skip
        vectors = encode(self.base, texts, max_length=self.limit, encoder=self._encoder)
        return by_centrality(centrality(vectors), self.longest)


def by_centrality(ranks: NDArray[np.float64], longest: int) -> Steps:
    """The log of each unit's centrality, where enough units follow it to fill the plan; the end is
    sure when the plan is full, and not possible before.

    Args:
        ranks: of the units, (U,).
    """
    count = len(ranks)
    longest = min(longest, count)
    logs = np.log(ranks).astype(np.float32)

    def steps(plans: Sequence[Plan]) -> NDArray[np.float32]:
        rows = np.full((len(plans), count + 1), -np.inf, dtype=np.float32)
        for row, plan in zip(rows, plans, strict=True):
            first, last = (plan[-1] + 1 if plan else 0), count - (longest - len(plan)) + 1
            if len(plan) == longest:
                row[count] = 0.0
            else:
                row[first:last] = logs[first:last]
        return rows

    return steps
