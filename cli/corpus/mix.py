"""polyrank corpus mix."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.progress import note

from ..checks import of_no_use, one_of
from ..options import AsJson, Seed
from . import options

if TYPE_CHECKING:
    from polyrank.corpus.mix import Mixture


def mix(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(help="A file a language: ky.txt.gz, or LANGUAGE=FILE such as ky=news.txt."),
    ],
    output: Annotated[
        Path, typer.Option(help="File to write, gzipped as .gz; '-' for standard output.")
    ],
    alpha: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="1: shares as in the files; 0: the same share for each language."
        ),
    ] = 0.3,
    lines: Annotated[int | None, typer.Option(min=1, help="Lines to write, or")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="tokens of the base, at most.")] = None,
    base: options.Base = DEFAULT_BASE,
    seed: Seed = 13,
    as_json: AsJson = False,
) -> None:
    """Mix the text of languages at a temperature: shares p_l in proportion to n_l ^ alpha.

    Languages alternate at random; within a language lines keep the order of their file, and no
    line is repeated before all have been taken. The table shows the shares before and after, and
    how often a line of each language stands in the mixture on average.

    \b
    Example:
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('flores', queries='en', documents='en').documents.values()]" > en.txt
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('ntrex', queries='en', documents='ky').documents.values()]" > ky.txt
      polyrank corpus mix en.txt ky.txt --lines 500 --output mixed.txt
    """
    from polyrank.corpus.mix import mix_corpus

    one_of(lines=lines, tokens=tokens)
    if lines is not None:
        of_no_use(context, "--lines", ("base",))
    if len(files) == 1:
        of_no_use(context, "one file", ("alpha",))
    mixture = mix_corpus(files, output, alpha, lines, tokens, seed, base)
    text = json.dumps(mixture.to_dict(), ensure_ascii=False) if as_json else _table(mixture)
    print(text, file=sys.stderr if str(output) == "-" else sys.stdout)
    if left_out := [part.language for part in mixture.parts if not part.taken]:
        note(f"the budget is too small for even one line of {', '.join(left_out)}")


def _table(mixture: Mixture) -> str:
    from polyrank.evaluation.text_tables import aligned

    unit = mixture.unit
    rows = [["language", f"{unit} before", "share", f"{unit} after", "share", "times"]]
    for part in mixture.parts:
        row = [part.language, f"{part.size:,}", f"{part.before:.2%}"]
        rows.append([*row, f"{part.taken_size:,}", f"{part.after:.2%}", f"{part.repeated:.2f}"])
    sums = [
        f"{sum(getattr(part, name) for part in mixture.parts):,}" for name in ("size", "taken_size")
    ]
    rows.append(["all", sums[0], "", sums[1], "", ""])
    return "\n".join(aligned(rows))
