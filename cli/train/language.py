"""polyrank train language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.progress import note

from ..options import Base, LanguageKind, Seed
from . import options
from .of_use import check_of_use
from .output import command_line, how_to_use, not_there


def language(
    context: typer.Context,
    language: Annotated[str, typer.Option(help="Language of the text, such as ky.")],
    output: options.Output,
    text: Annotated[
        Path | None, typer.Option(help="A sentence a line, gzipped or not; or --parallel alone.")
    ] = None,
    base: Base = DEFAULT_BASE,
    kind: Annotated[LanguageKind, typer.Option(help="What to train.")] = LanguageKind.adapter,
    parallel: Annotated[
        Path | None, typer.Option(help="language <tab> text <tab> English, for alignment.")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="A sum such as distance+0.3*contrast+0.1*masked; 'polyrank train losses' lists "
            "what there is. Else masked; with --parallel align+0.1*masked, or align without --text."
        ),
    ] = None,
    steps: options.Steps = 300,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences, and pairs, a step.")] = 32,
    length: Annotated[int, typer.Option(min=8, help="Tokens a sequence.")] = 96,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Peak learning rate; else 1e-3, mask 5e-4.")
    ] = None,
    reduction: Annotated[
        int | None,
        typer.Option(min=1, help="Base width over adapter width; else 8, or that of --start."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Adapter to start from: a name of the zoo or a folder.")
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(help="Folder of 'train head'; else the base's own head, or the zoo's."),
    ] = None,
    k: options.K = None,
    full_steps: options.FullSteps = None,
    l1: options.L1 = 0.1,
    freeze_norms: options.FreezeNorms = True,
    candidates: options.Candidate = options.Candidates.all,
    iterations: options.Iterations = 1,
    sources: options.Sources = None,
    seed: Seed = 13,
    resume: options.Resume = False,
) -> None:
    """Train one language's module on plain text, on sentence pairs, or on both.

    An adapter is put on a frozen base; a mask changes few of its weights (LT-SFT). Plain text is
    learnt by masked language modelling, pairs by alignment to the base's English.

    \b
    Example (add --kind mask for a mask):
      python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('ntrex', queries='tk', documents='tk').documents.values()]" > tk.txt
      polyrank train language --language tk --text tk.txt --steps 20 --output modules/tk
    """
    from polyrank.training.language.train_language import train_language_module
    from polyrank.training.loop.lottery_ticket import Sparsity

    check_of_use(context, kind.value)
    not_there(output, resume)
    card = train_language_module(
        base,
        language,
        text,
        output,
        kind=kind.value,
        parallel=parallel,
        loss=loss,
        steps=steps,
        batch_size=batch_size,
        length=length,
        rate=rate,
        reduction=reduction,
        start=start,
        head=head,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates.value, iterations),
        seed=seed,
        resume=resume,
        data=options.sources_of(sources),
        command=command_line(),
    )
    note(f"wrote {output}: {json.dumps(dict(card.figures))}")
    note(how_to_use(output, card))
