"""ROUGE of the library `rouge-score`, and how different candidates are from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean
from typing import Any

from polyrank.index.analysis import tokenize
from polyrank.index.folding import fold_of
from polyrank.installed import require

KINDS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True)
class Rouge:
    """F-measures of one text against another, from 0 to 1.

    one, two: of words and of pairs of words (Lin 2004). longest: of the longest common
    subsequence, over the whole text, not by sentence.
    """

    one: float
    two: float
    longest: float

    @property
    def mean(self) -> float:
        """Of the three: what candidates are ordered by (BRIO: arXiv 2203.16804)."""
        return (self.one + self.two + self.longest) / 3

    def __iter__(self) -> Any:
        return iter((self.one, self.two, self.longest))


def rouge(candidate: str, reference: str, language: str | None = None) -> Rouge:
    """ROUGE-1, -2 and -L of a candidate.

    English is tokenised as the library does it, with Porter's stems; it keeps a–z and digits only,
    so other languages get words of Unicode letters as the index folds them, and in scripts without
    spaces single characters.

    Args:
        language: tag of both texts; None where it is not known, which is no English.

    Raises:
        UsageError: the library is not installed.
    """
    found = _scorer(language).score(reference, candidate)
    return Rouge(*(float(found[kind].fmeasure) for kind in KINDS))


def diversity(candidates: Sequence[str], language: str | None = None) -> float:
    """The mean of 1 − ROUGE-1 over all pairs of candidates: 0 where all are alike, 1 where no two
    share a word; not a number where there are fewer than two."""
    pairs = list(combinations(candidates, 2))
    if not pairs:
        return float("nan")
    return fmean(1 - rouge(one, other, language).one for one, other in pairs)


@lru_cache(maxsize=64)
def _scorer(language: str | None) -> Any:
    require("summaries", "ROUGE")
    from rouge_score.rouge_scorer import RougeScorer

    if (language or "").partition("-")[0] == "en":
        return RougeScorer(KINDS, use_stemmer=True)
    return RougeScorer(KINDS, tokenizer=_Words(language))


class _Words:
    """Words of any language, in the form that the library asks for."""

    def __init__(self, language: str | None) -> None:
        _, self.folding = fold_of(language)

    def tokenize(self, text: str) -> list[str]:
        return tokenize(text, self.folding, bigrams=False)
