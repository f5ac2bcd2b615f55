"""polyrank train head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.training.head.recipe import HeadRecipe

from ..options import Base, Seed
from . import options
from .output import command_line, not_there, tell


def head(
    text: Annotated[
        list[Path],
        typer.Option(
            help="A sentence a line, gzipped or not; several times for several languages, which "
            "are drawn from equally often; or a folder of *.txt and *.txt.gz."
        ),
    ],
    output: options.Output,
    base: Base = DEFAULT_BASE,
    steps: options.Steps = HeadRecipe.steps,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Sequences a step.")
    ] = HeadRecipe.batch_size,
    length: Annotated[int, typer.Option(min=8, help="Tokens a sequence.")] = HeadRecipe.length,
    rate: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = HeadRecipe.rate,
    sources: options.Sources = None,
    seed: Seed = HeadRecipe.seed,
    resume: options.Resume = False,
) -> None:
    """Train a masked-language head for a base that has none, such as E5, BGE-M3 or LaBSE.

    The base stays as it is. 'train language' needs a head to learn from plain text; it finds one
    that stands as BASE/head in a folder of $POLYRANK_ZOO, or takes --head.

    \b
    Example:
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('ntrex', queries='tk', documents='tk').documents.values()]" > tk.txt
      polyrank train head --text tk.txt --steps 3 --batch-size 4 --output heads/tk
    """
    from polyrank.training.head.train_head import train_head

    not_there(output, resume)
    card = train_head(
        base,
        text,
        output,
        steps=steps,
        batch_size=batch_size,
        length=length,
        rate=rate,
        seed=seed,
        resume=resume,
        data=options.sources_of(sources),
        command=command_line(),
    )
    tell(f"wrote {output}: {json.dumps(dict(card.figures))}", how_to_use(output, card.base))


def how_to_use(output: Path, base: str) -> str:
    """How the head that was written is found."""
    from polyrank.training.head.head_folder import head_place

    place = Path(head_place(base))
    if output.absolute().parts[-2:] == place.parts:
        return f"it is found where POLYRANK_ZOO={output.parents[1]} is set"
    return f"use it with --head {output}, or as {place} in a folder of $POLYRANK_ZOO"
