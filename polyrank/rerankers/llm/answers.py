"""Reading answers of language models, and repairing them by rules, counted.

Every function returns what it read and what was wrong: kind → how often. Nothing is repaired
without a count, and what cannot be read is None, never 0.

    order      duplicates after the first are dropped, unknown names dropped, missing documents
               follow in the order in which they were shown
    scores     JSON, else "name: number" pairs; outside the scale: to its nearest end; a name twice:
               the first counts; missing documents: None
    subset     unknown names and duplicates dropped; "none" chooses nothing
    number     in the form asked for, else the last number of the answer that is on the scale
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

Faults = Mapping[str, int]

NO_FORM = "the answer had not the form that was asked for"
NOTHING = "the answer held nothing of what was asked for"
DUPLICATE = "a document was named twice"
UNKNOWN = "a document was named that was not shown"
MISSING = "a document was not named"
OUTSIDE = "a number was outside the scale"

_NUMBER = re.compile(r"(?<![\w./])-?\d+(?!\w|\.\d)")  # of "8/10" the 8


def part(text: str, pattern: str) -> tuple[str, Faults]:
    """What a pattern's group `answer` matches last; the whole text where it does not match.

    Everything before the end of a thinking part is left out first.
    """
    spoken = text.rsplit("</think>", 1)[-1] if "</think>" in text else text
    if not pattern:
        return spoken, {}
    matches = list(re.finditer(pattern, spoken, flags=re.DOTALL | re.IGNORECASE))
    if matches:
        return matches[-1].group("answer"), {}
    return spoken, {NO_FORM: 1}


def order_of(text: str, names: Sequence[str]) -> tuple[list[int], Faults]:
    """Places of the documents in the order of an answer like `[2] > [1]`; all of them.

    Names in square brackets count; where there are none, bare names between '>' or commas.

    >>> order_of("[2] > [2] > [9]", ["1", "2", "3"])[0]
    [1, 0, 2]
    """
    faults: Counter[str] = Counter()
    named = _named(text, names, faults)
    found = _unique(named, names, faults)
    if not found:
        return list(range(len(names))), {NOTHING: 1}
    missing = [place for place in range(len(names)) if place not in found]
    faults[MISSING] += len(missing)
    return [*found, *missing], +faults


def subset_of(text: str, names: Sequence[str]) -> tuple[list[int] | None, Faults]:
    """Places of the documents that an answer chooses, in its order.

    An answer that says "none" chooses nothing; one without any name is not an answer: None.
    """
    faults: Counter[str] = Counter()
    found = _unique(_named(text, names, faults), names, faults)
    if found:
        return found, +faults
    if re.search(r"\bnone\b", text, flags=re.IGNORECASE) or re.search(r"\[\s*\]", text):
        return [], {}
    return None, {**faults, NOTHING: 1}


def choice_of(text: str, names: Sequence[str]) -> tuple[int | None, Faults]:
    """The place of the one document that an answer names; of several the first."""
    faults: Counter[str] = Counter()
    named = _named(text, names, faults)
    known = _unique(named, names, faults)
    if not known:
        return None, {**faults, NOTHING: 1}
    if len(known) > 1:
        faults["several documents were named where one was asked for"] += 1
    return known[0], +faults


def scores_of(
    text: str, names: Sequence[str], lowest: float = 0, highest: float = 10
) -> tuple[list[float | None], Faults]:
    """A number for each document from an answer like `{"1": 7, "2": 0}`.

    >>> scores_of('{"[1]": 12, "2": "3"}', ["1", "2", "3"])
    ([10.0, 3.0, None], {'a number was outside the scale': 1, 'a document was not named': 1})
    """
    faults: Counter[str] = Counter()
    names = [_plain(name) for name in names]
    pairs = _json_pairs(text)
    if pairs is None:
        pairs = [
            (_plain(name), float(number))
            for name, number in re.findall(
                r"[\"'\[]*\b(\w{1,3})\b[\"'\]]*\s*[:=]\s*[\"']?(-?\d+(?:\.\d+)?)", text
            )
        ]
        faults[NO_FORM if pairs else NOTHING] += 1
    found: dict[str, float] = {}
    for name, number in pairs:
        if name not in names:
            faults[UNKNOWN] += 1
        elif name in found:
            faults[DUPLICATE] += 1
        else:
            faults[OUTSIDE] += not lowest <= number <= highest
            found[name] = float(min(highest, max(lowest, number)))
    if found or not faults[NOTHING]:
        faults[MISSING] += len(names) - len(found)
    return [found.get(name) for name in names], dict(+faults)


def number_of(text: str, pattern: str, lowest: int, highest: int) -> tuple[
    tuple[int, int, int] | None, Faults
]:  # fmt: skip
    """A whole number on the scale, and where it stands in the text: (number, from, to).

    Digits of any script are read.
    """
    spoken_from = text.rfind("</think>") + len("</think>") if "</think>" in text else 0
    faults: Counter[str] = Counter()
    matches = list(re.finditer(pattern, text, flags=re.DOTALL | re.IGNORECASE)) if pattern else []
    spans = [m.span("answer") for m in matches if m.start() >= spoken_from]
    if not spans:
        faults[NO_FORM] += 1
    for start, end in [*reversed(spans), (spoken_from, len(text))]:
        for match in reversed(list(_NUMBER.finditer(text, start, end))):
            if lowest <= int(match.group()) <= highest:
                return (int(match.group()), *match.span()), +faults
            faults[OUTSIDE] += 1
    return None, {**(+faults), NOTHING: 1}


def _named(text: str, names: Sequence[str], faults: Counter[str]) -> list[str]:
    """The names in an answer, in brackets or, where there are none, bare."""
    bracketed = [
        name.strip()
        for inside in re.findall(r"\[([^\[\]\n]{1,200})\]", text)
        for name in re.split(r"[,;\s]+", inside.strip())
        if name.strip()
    ]
    if bracketed:
        return [_plain(name) for name in bracketed]
    line = next((line for line in text.splitlines() if ">" in line), text)
    tokens = [_plain(token) for token in re.split(r"[>,;\s]+", line.strip(" .()")) if token]
    # A bare name must be all of what stands between the separators: "A good one" names nothing.
    plain = {_plain(name) for name in names}
    bare = all(token.strip("().") in plain or token.strip("().").isdigit() for token in tokens)
    if tokens and bare:
        faults[NO_FORM] += 1
        return [token.strip("().") for token in tokens]
    return []


def _unique(named: Sequence[str], names: Sequence[str], faults: Counter[str]) -> list[int]:
    places = {_plain(name): place for place, name in enumerate(names)}
    found: list[int] = []
    for name in named:
        place = places.get(name)
        if place is None:
            faults[UNKNOWN] += 1
        elif place in found:
            faults[DUPLICATE] += 1
        else:
            found.append(place)
    return found


def _plain(name: str) -> str:
    """A name without quotes, with the digits 0 to 9 for those of other scripts."""
    bare = name.strip("\"'`*#")
    if bare.isdecimal():
        return str(int("".join(str(unicodedata.decimal(digit)) for digit in bare)))
    return bare


def _json_pairs(text: str) -> list[tuple[str, float]] | None:
    """The pairs of the last JSON object in a text that holds numbers only."""
    for match in reversed(list(re.finditer(r"\{[^{}]*\}", text, flags=re.DOTALL))):
        try:
            rows = json.loads(match.group(), object_pairs_hook=list)
            return [(_plain(str(name).strip("[] ")), float(number)) for name, number in rows]
        except (ValueError, TypeError):
            continue
    return None
