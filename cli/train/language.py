"""polyrank train language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.training.kinds.adapter import LANGUAGE_REDUCTION
from polyrank.training.kinds.contract import LANGUAGE
from polyrank.training.language.recipe import LanguageRecipe
from polyrank.training.loop.sparsity import PUBLISHED, Sparsity

from ..options import Base, Seed
from . import options
from .of_use import check_of_use
from .output import command_line, how_to_use, not_there, tell


def language(
    context: typer.Context,
    language: Annotated[str, typer.Option(help="Language of the text, such as ky.")],
    output: options.Output,
    text: Annotated[
        Path | None, typer.Option(help="A sentence a line, gzipped or not; or --parallel alone.")
    ] = None,
    base: Base = DEFAULT_BASE,
    kind: options.LanguageKind = LanguageRecipe.kind,
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
    steps: options.Steps = LanguageRecipe.steps,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Sequences, and pairs, a step.")
    ] = LanguageRecipe.batch_size,
    length: Annotated[int, typer.Option(min=8, help="Tokens a sequence.")] = LanguageRecipe.length,
    rate: options.LanguageRate = None,
    reduction: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Base width over adapter width; else {LANGUAGE_REDUCTION}, or that of --start.",
        ),
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
    l1: options.L1 = PUBLISHED.l1,
    freeze_norms: options.FreezeNorms = PUBLISHED.freeze_norms,
    candidates: options.Candidates = PUBLISHED.candidates,
    iterations: options.Iterations = PUBLISHED.iterations,
    sources: options.Sources = None,
    seed: Seed = LanguageRecipe.seed,
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

    check_of_use(context, kind, LANGUAGE)
    not_there(output, resume)
    card = train_language_module(
        base,
        language,
        text,
        output,
        kind=kind,
        parallel=parallel,
        loss=loss,
        steps=steps,
        batch_size=batch_size,
        length=length,
        rate=rate,
        reduction=reduction,
        start=start,
        head=head,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates, iterations),
        seed=seed,
        resume=resume,
        data=options.sources_of(sources),
        command=command_line(),
    )
    tell(f"wrote {output}: {json.dumps(dict(card.figures))}", how_to_use(output, card))
