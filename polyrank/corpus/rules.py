"""What is wrong with a line: one rule for each fault, its threshold, and its reason in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from polyrank.corpus.duplicates import Duplicates
from polyrank.corpus.foreign import Foreign
from polyrank.corpus.lengths import Bounds
from polyrank.corpus.near_duplicates import NearDuplicates
from polyrank.corpus.shingles import Shingles
from polyrank.errors import UsageError


@dataclass(frozen=True)
class Thresholds:
    """Beyond which values a line is faulty.

    Attributes:
        shortest: characters of the shortest line; by default what `reach` says.
        longest: characters of the longest line; by default what `reach` says.
        reach: interquartile ranges of log lengths that a line may lie outside the quartiles.
        repetition: the largest share of a line's character 5-grams that may stand in it before.
        unknown: the largest share of a line's pieces that the base may not know.
        confidence: how sure it must be that a line is in another language, 0 to 1.
        legible: characters from which on a line's language is judged; shorter ones mislead.
        similarity: Jaccard similarity from which a line is a near-duplicate of an earlier one.
    """

    shortest: int | None = None
    longest: int | None = None
    reach: float = 3.0
    repetition: float = 0.5
    unknown: float = 0.1
    confidence: float = 0.9
    legible: int = 40
    similarity: float = 0.8

    def __post_init__(self) -> None:
        for share in ("repetition", "unknown", "confidence", "similarity"):
            if not 0 <= getattr(self, share) <= 1:
                raise UsageError(f"{share} is {getattr(self, share)}; give a share from 0 to 1")
        if self.similarity == 0:
            raise UsageError("similarity is 0, which every line has; give a share above 0")
        if self.reach < 0 or self.reach != self.reach:
            raise UsageError(f"reach is {self.reach}; give 0 or more")
        if self.shortest is not None and self.longest is not None and self.shortest > self.longest:
            raise UsageError(
                f"the shortest line is {self.shortest} characters and the longest {self.longest}; "
                "swap them"
            )


class Measured(NamedTuple):
    """A line that is not blank, with what the rules look at.

    `tokens` and `unknown` are 0 and `foreign` is None where no rule asks for them.
    """

    number: int
    text: str
    tokens: int
    unknown: int
    foreign: Foreign | None
    shingles: Shingles


class Fault(NamedTuple):
    """The rule that a line breaks, and why in words."""

    rule: str
    reason: str


def _length(line: Measured, limits: Thresholds, bounds: Bounds) -> str | None:
    length = len(line.text)
    if length < bounds.shortest:
        return f"{length} characters, under {bounds.shortest:,.0f}"
    if length > bounds.longest:
        return f"{length} characters, over {bounds.longest:,.0f}"
    return None


def _repetition(line: Measured, limits: Thresholds, bounds: Bounds) -> str | None:
    share = line.shingles.repetition
    return f"{share:.2f} of it repeats" if share > limits.repetition else None


def _unknown(line: Measured, limits: Thresholds, bounds: Bounds) -> str | None:
    if line.unknown > limits.unknown * line.tokens:
        return f"{line.unknown} of {line.tokens} pieces unknown"
    return None


def _language(line: Measured, limits: Thresholds, bounds: Bounds) -> str | None:
    if line.foreign is None or len(line.text) < limits.legible:
        return None
    if line.foreign.confidence < limits.confidence:
        return None
    return f"{line.foreign.language}, {line.foreign.confidence:.2f}"


_OF_THE_LINE: dict[str, Callable[[Measured, Thresholds, Bounds], str | None]] = {
    "length": _length,
    "repetition": _repetition,
    "unknown": _unknown,
    "language": _language,
}
RULES = ("duplicate", *_OF_THE_LINE, "near-duplicate")  # in the order in which they are asked


class Rules:
    """The rules over the lines of one file, which come in order.

    Args:
        limits: the thresholds.
        bounds: of lengths, in this file.
        skip: names of `RULES` that are not asked.
    """

    def __init__(self, limits: Thresholds, bounds: Bounds, skip: Sequence[str] = ()) -> None:
        self.limits, self.bounds = limits, bounds
        self.names = [name for name in RULES if name not in skip]
        self._asked = {name: rule for name, rule in _OF_THE_LINE.items() if name not in skip}
        self._seen = None if "duplicate" in skip else Duplicates()
        self._near = None if "near-duplicate" in skip else NearDuplicates(limits.similarity)

    def faults(self, line: Measured) -> Iterator[Fault]:
        """All faults but that of a near-duplicate, found as they are asked for."""
        if self._seen is not None:
            earlier = self._seen.first(line.number, line.text)
            if earlier is not None:
                yield Fault("duplicate", f"of line {earlier}")
        for name, rule in self._asked.items():
            reason = rule(line, self.limits, self.bounds)
            if reason is not None:
                yield Fault(name, reason)

    def near_duplicates(self, lines: Sequence[Measured]) -> list[Fault | None]:
        """The fault of each line that is much like an earlier one of those given here."""
        if self._near is None:
            return [None] * len(lines)
        earlier = self._near.check(
            [line.number for line in lines], [line.shingles.different for line in lines]
        )
        return [
            near and Fault("near-duplicate", f"of line {near.number}, {near.similarity:.2f}")
            for near in earlier
        ]


def check_skip(skip: Sequence[str]) -> tuple[str, ...]:
    """The names of rules to leave out.

    Raises:
        UsageError: one that is not a rule.
    """
    for name in skip:
        if name not in RULES:
            raise UsageError(f"unknown rule '{name}'; the rules are {', '.join(RULES)}")
    return tuple(skip)
