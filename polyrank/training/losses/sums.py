"""Weighted sums of named losses as text: 'infonce+0.5*margin_mse', 'kl(temperature=2)'."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from polyrank.errors import UsageError

NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
TERM = re.compile(
    rf"\s*(?:(?P<weight>{NUMBER})\s*\*)?\s*(?P<name>[a-z][a-z0-9_-]*)\s*"
    r"(?:\((?P<parameters>[^()]*)\))?\s*(?P<next>\+|$)",
    re.IGNORECASE,
)

Aliases = Mapping[str, tuple[tuple[str, float], ...]]  # name → (loss, weight) of each that it means
Parameters = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Parameter:
    """A number that a loss takes: its default, and what it must be."""

    default: float
    whole: bool = False
    zero: bool = False  # may be 0

    def read(self, text: str) -> float:
        """ValueError when the text is not such a number."""
        value = int(text) if self.whole else float(text)
        endless = math.isinf(value) and math.isfinite(self.default)
        if math.isnan(value) or endless or value < 0 or (value == 0 and not self.zero):
            raise ValueError
        return value

    @property
    def words(self) -> str:
        return f"a {'whole ' * self.whole}number {'of 0 or more' if self.zero else 'above 0'}"


def read_sum(
    text: str,
    known: Mapping[str, Mapping[str, Parameter]],
    aliases: Aliases,
    example: str,
) -> list[tuple[str, float, Parameters]]:
    """The terms of a sum, as (loss, weight, the parameters that were given).

    '-' and '_' in names are the same, as are capitals; spaces do not count.

    Args:
        text: as typed.
        known: the losses by name, with their parameters.
        aliases: further names; the weight of one counts for each loss that it means.
        example: of a sum, for the message.

    Raises:
        UsageError: what cannot be read, or a name, parameter or value that there is none of.
    """
    terms: list[tuple[str, float, Parameters]] = []
    place, more = 0, True
    while more:
        match = TERM.match(text, place)
        if match is None:
            raise UsageError(
                f"the loss '{text}' cannot be read at '{text[place:].strip()}'; write a name, or a "
                f"sum such as {example}"
            )
        place, more = match.end(), match["next"] == "+"
        weight = float(match["weight"] or 1)
        if not 0 < weight < math.inf:
            raise UsageError(f"the weight of '{match['name']}' is {weight:g}; give one above 0")
        for name, share in _meant(match["name"], known, aliases):
            given = _parameters(name, match["parameters"] or "", known[name])
            terms.append((name, weight * share, given))
    return terms


def typed(loss: str, weight: float, given: Parameters, parameters: Mapping[str, Parameter]) -> str:
    """A term as it would be typed; defaults and a weight of 1 are left out."""
    told = [f"{k}={number(value)}" for k, value in given if value != parameters[k].default]
    before = "" if weight == 1 else f"{number(weight)}*"
    return f"{before}{loss}" + (f"({','.join(told)})" if told else "")


def number(value: float) -> str:
    """The shortest text that reads back to the same number."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def _meant(
    written: str, known: Mapping[str, Mapping[str, Parameter]], aliases: Aliases
) -> tuple[tuple[str, float], ...]:
    name = written.lower().replace("-", "_")
    if name in known:
        return ((name, 1.0),)
    if name in aliases:
        return aliases[name]
    names = [*known, *(alias for alias, meant in aliases.items() if len(meant) > 1)]
    near = get_close_matches(name, names, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise UsageError(f"unknown loss '{written}'.{hint} There are: {', '.join(names)}")


def _parameters(loss: str, text: str, known: Mapping[str, Parameter]) -> Parameters:
    given: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        key = key.lower().replace("-", "_")
        if not equals or key not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"the loss '{loss}' has no parameter '{part}'; it has: {listed}")
        if key in given:
            raise UsageError(f"the loss '{loss}' is given '{key}' twice")
        try:
            given[key] = known[key].read(value)
        except ValueError:
            raise UsageError(
                f"'{key}' of the loss '{loss}' is '{value}'; give {known[key].words}"
            ) from None
    return tuple((key, given[key]) for key in known if key in given)
