"""Which lines of a file are unusually short or long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import exp, inf, log
from pathlib import Path
from typing import NamedTuple

from polyrank.corpus.sources import lines


class Bounds(NamedTuple):
    """The characters that a line may have, both ends included."""

    shortest: float = 0
    longest: float = inf


def fences(counts: Mapping[int, int], reach: float) -> Bounds:
    """Tukey's fences around the quartiles of log lengths (Exploratory Data Analysis, 1977, §2).

    From Q1 − reach · (Q3 − Q1) to Q3 + reach · (Q3 − Q1), on a log scale, as lengths are skewed.
    Tukey calls what lies beyond a reach of 1.5 outside, beyond 3 far out. No bounds where at least
    half of the lines have one length.

    Args:
        counts: length in characters → how many lines have it.
        reach: in interquartile ranges.
    """
    low, high = (log(quantile(counts, share)) for share in (0.25, 0.75))
    if low == high:
        return Bounds()
    spread = reach * (high - low)
    return Bounds(exp(low - spread), exp(min(high + spread, 700)))


def quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest length that at least this share of lines does not exceed.

    >>> quantile({10: 1, 20: 2, 30: 1}, 0.5)
    20
    """
    wanted = share * sum(counts.values())
    passed = 0
    for length in sorted(counts):
        passed += counts[length]
        if passed >= wanted:
            return length
    raise ValueError("no lengths")


def lengths(path: Path) -> Counter[int]:
    """Length in characters → how many lines of a file have it; blank lines are left out.

    Raises:
        DataError: the file cannot be read as plain text.
    """
    return Counter(len(text) for _, text in lines(path) if text)
