"""polyrank corpus clean."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import note

from .. import checks
from ..options import AsJson
from . import options
from .options import Rule

if TYPE_CHECKING:
    from polyrank.corpus.clean import Cleaned


def clean(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(help="A sentence a line: ky.txt.gz, or LANGUAGE=FILE such as ky=news.txt."),
    ],
    output: Annotated[
        Path, typer.Option(help="File to write, gzipped as .gz; '-' for standard output.")
    ],
    rejected: Annotated[
        Path | None,
        typer.Option(
            help="Also write what is removed: line number, rule, reason, text; .gz is gzipped."
        ),
    ] = None,
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
    """Write a text file without its faulty lines, and say how many each rule removed.

    The rules, in this order, each with an option for its threshold: duplicate (an exact one),
    length, repetition, unknown, language, near-duplicate. A line counts for the first rule that it
    breaks. 'polyrank corpus report' shows beforehand how many lines each rule would find.

    \b
    Example:
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('flores', queries='en', documents='ky').documents.values()]" > ky.txt
      polyrank corpus clean ky.txt --longest 200 --output ky.clean.txt --rejected removed.tsv
    """
    from polyrank.corpus.clean import clean_corpus
    from polyrank.corpus.rules import Thresholds

    options.check_of_use(context, skip)
    if Rule.unknown in (skip or ()):
        checks.of_no_use(context, "--skip unknown", ("base",))
    limits = Thresholds(
        shortest, longest, reach, repetition, unknown, confidence, legible, similarity
    )
    cleaned = clean_corpus(file, output, base, limits, options.names(skip), rejected)
    text = json.dumps(cleaned.to_dict(), ensure_ascii=False) if as_json else _table(cleaned)
    print(text, file=sys.stderr if str(output) == "-" else sys.stdout)
    for rule, count in cleaned.removed.items():
        if count > cleaned.lines / 2:
            note(
                f"{_DOUBTS.get(rule, rule + ' removed most lines')}; '--skip {rule}' leaves it out"
            )
    if not cleaned.kept:
        see = "" if rejected is None else f"; {rejected} says why"
        raise UsageError(f"no line of {cleaned.file} was kept{see}. Relax the thresholds")


_DOUBTS = {
    "language": "most lines are in another language, or the identifier does not know this one",
    "unknown": "the base lacks the pieces for most lines; another may have them (--base)",
}


def _table(cleaned: Cleaned) -> str:
    from polyrank.evaluation.text_tables import aligned

    counts = {"lines": cleaned.lines, "blank": cleaned.blank, **cleaned.removed}
    counts["kept"] = cleaned.kept
    rows = [[name, f"{count:,}", f"{count / cleaned.lines:.2%}"] for name, count in counts.items()]
    return "\n".join(aligned(rows))
