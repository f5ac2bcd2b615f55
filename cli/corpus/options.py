"""Options that report and clean share: the thresholds of the rules, and which to leave out."""

from __future__ import annotations

from typing import Annotated

import typer

from polyrank.corpus.rules import RULES

from .. import checks
from ..choices import Choice


class Rule(Choice, names=RULES):
    """By which a line is left out."""


Base = Annotated[
    str, typer.Option(help="The base whose tokenizer counts: its name, a Hub id or a folder.")
]
Shortest = Annotated[
    int | None,
    typer.Option(min=1, help="length: characters of the shortest line; else --reach says."),
]
Longest = Annotated[
    int | None,
    typer.Option(min=1, help="length: characters of the longest line; else --reach says."),
]
Reach = Annotated[
    float,
    typer.Option(
        min=0,
        help="length: how far outside the quartiles of this file's log lengths a line may lie, in "
        "interquartile ranges.",
    ),
]
Repetition = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="repetition: share of a line's 5-grams of characters that may repeat earlier ones.",
    ),
]
Unknown = Annotated[
    float,
    typer.Option(min=0, max=1, help="unknown: share of pieces that the base need not know."),
]
Confidence = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="language: how surely a line must be in another language to count."
    ),
]
Legible = Annotated[
    int,
    typer.Option(min=0, help="language: lines of fewer characters are not judged; they mislead."),
]
Similarity = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=1,
        help="near-duplicate: from which Jaccard similarity to an earlier line on.",
    ),
]
Skip = Annotated[
    list[Rule] | None, typer.Option(help="A rule to leave out; may be given several times.")
]


OF_RULES = {  # rule → its thresholds
    "length": ("shortest", "longest", "reach"),
    "repetition": ("repetition",),
    "unknown": ("unknown",),
    "language": ("confidence", "legible"),
    "near-duplicate": ("similarity",),
}


def check_of_use(context: typer.Context, skip: list[Rule] | None) -> None:
    """Refuse thresholds of rules that are left out.

    Raises:
        UsageError: it names them.
    """
    for rule in names(skip):
        checks.of_no_use(context, f"--skip {rule}", OF_RULES.get(rule, ()))
    if all(checks.is_given(context, name) for name in ("shortest", "longest")):
        checks.of_no_use(context, "--shortest and --longest", ("reach",))


def names(skip: list[Rule] | None) -> list[str]:
    """The names of the rules to leave out."""
    return [rule.value for rule in skip or ()]
