"""The character n-grams of a line, by which lines are compared and repetition is seen."""

from __future__ import annotations

from typing import NamedTuple

from polyrank.languages.tags import clean

LENGTH = 5  # characters of a shingle


class Shingles(NamedTuple):
    """The different shingles of a line in order, and how many there are with their repetitions."""

    different: list[str]
    total: int

    @property
    def repetition(self) -> float:
        """The share of shingles that stood in the line before: 0 none, near 1 all but a few."""
        return 1 - len(self.different) / self.total if self.total else 0.0


def shingles(text: str) -> Shingles:
    """The character 5-grams of a line's letters, without case, punctuation and digits.

    Two lines that differ in these alone have the same shingles, as in CCNet (Wenzek et al. 2020,
    arXiv 1911.00359, §3.1). Characters serve scripts with and without spaces alike. A line of
    fewer than five letters is one shingle, a line without letters has none.

    >>> shingles("Ha! Ha ha ha")
    Shingles(different=['ha ha', 'a ha ', ' ha h'], total=7)
    """
    letters = clean(text)
    if not letters:
        return Shingles([], 0)
    total = max(len(letters) - LENGTH + 1, 1)
    return Shingles(list(dict.fromkeys(letters[i : i + LENGTH] for i in range(total))), total)
