"""polyrank corpus report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.progress import note, say

from ..options import AsJson
from . import options

if TYPE_CHECKING:
    from polyrank.corpus.report import CorpusReport


def report(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(help="A sentence a line: ky.txt.gz, or LANGUAGE=FILE such as ky=news.txt."),
    ],
    base: options.Base = DEFAULT_BASE,
    shortest: options.Shortest = None,
    longest: options.Longest = None,
    reach: options.Reach = 3.0,
    repetition: options.Repetition = 0.5,
    unknown: options.Unknown = 0.1,
    confidence: options.Confidence = 0.9,
    legible: options.Legible = 40,
    similarity: options.Similarity = 0.8,
    skip: options.Skip = None,
    as_json: AsJson = False,
) -> None:
    """Show what is in text files of languages: sizes, tokens, and lines that break a rule.

    A row for each file. tokens/word says how far the base cuts words of the language apart; the
    shares under the names of rules are what 'polyrank corpus clean' would call faulty, counted
    for each rule alone.

    \b
    Example:
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('flores', queries='en', documents='ky').documents.values()]" > ky.txt
      polyrank corpus report ky.txt
    """
    from polyrank.corpus.report import corpus_report
    from polyrank.corpus.rules import Thresholds

    options.check_of_use(context, skip)
    limits = Thresholds(
        shortest, longest, reach, repetition, unknown, confidence, legible, similarity
    )
    reports = corpus_report(files, base, limits, options.names(skip))
    if as_json:
        print(json.dumps([one.to_dict() for one in reports], ensure_ascii=False, indent=2))
        return
    say("\n".join(_table(reports)))
    for one in reports:
        for line in _remarks(one):
            note(line)


def _table(reports: list[CorpusReport]) -> list[str]:
    from polyrank.corpus.rules import RULES
    from polyrank.evaluation.text_tables import aligned, shown

    rows = [["file", "language", "lines", "characters", "tokens/word", "unknown pieces", *RULES]]
    for one in reports:
        row = [one.file, one.language, f"{one.lines:,}", f"{one.characters:,}"]
        row += [shown(one.tokens_per_word, ".2f"), f"{one.unknown / max(one.tokens, 1):.2%}"]
        rows.append([*row, *(shown(one.share(rule), ".2%") for rule in RULES)])
    return aligned(rows)


def _remarks(one: CorpusReport) -> list[str]:
    from polyrank.corpus.lengths import quantile

    low, middle, high = (quantile(one.lengths, share) for share in (0.25, 0.5, 0.75))
    lines = [
        f"{one.file}: half of the lines have {low} to {high} characters, the median is {middle}; "
        f"{bounds(one.shortest, one.longest)}"
    ]
    if one.blank:
        lines.append(f"{one.file}: {one.blank:,} blank lines are not counted")
    if not one.spaced:
        lines.append(
            f"{one.file}: {one.language} is written without spaces; "
            f"{one.tokens_per_character:.2f} tokens a character"
        )
    if "language" not in one.faults:
        return lines
    if not one.identified:
        lines.append(
            f"{one.file}: the identifier does not know {one.language} well enough; only scripts "
            "are compared"
        )
    if one.foreign:
        most = ", ".join(f"{tag} {count:,}" for tag, count in one.foreign.most_common(3))
        share = sum(one.foreign.values()) / one.lines
        lines.append(f"{one.file}: {share:.2%} look like another language, however unsure: {most}")
    return lines


def bounds(shortest: float, longest: float) -> str:
    """The lengths that lines may have, in words."""
    if longest > 1e300:
        return f"{shortest:,.0f} or more are usual" if shortest else "no length is unusual"
    return f"{shortest:,.0f} to {longest:,.0f} are usual"
