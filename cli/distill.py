"""polyrank distill: a smaller model for one pair of languages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.training.distillation.layers import LAYERS
from polyrank.training.distillation.recipe import DistillationRecipe, General, Task
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.kinds import kinds_for, teaching_kinds
from polyrank.training.kinds.contract import STUDENT
from polyrank.training.loop.sparsity import DISTILLED

from . import checks, options
from .options import Fallback, Seed
from .train import options as training
from .train.of_use import check_of_use
from .train.output import command_line, not_there, tell

PHASE_2 = (
    *("student", "loss", "steps", "batch-queries", "negatives", "pair-length", "rate", "mine"),
    *("reduction", "k", "full-steps", "ranking", "teacher"),
    *("passages", "rows", "query-texts", "columns", "teacher-scale", "row-scores"),
)


def distill(
    context: typer.Context,
    source: Annotated[str, typer.Option(help="Language of the ranking data, such as en.")],
    target: Annotated[str, typer.Option(help="The other language, such as sw.")],
    source_text: Annotated[Path, typer.Option(help="A sentence a line, gzipped or not.")],
    target_text: Annotated[Path, typer.Option(help="The same in the other language.")],
    output: training.Output,
    queries: Annotated[
        str | None,
        typer.Option(help="JSON lines: _id, text, pos, neg, answers; or another project's rows."),
    ] = None,
    passages: training.Passages = None,
    rows: training.RowsForm = JudgedRows.form,
    query_texts: training.QueryTexts = None,
    columns: training.Columns = None,
    base: options.Base = DEFAULT_BASE,
    ranking: options.Ranking = DistillationRecipe.ranking,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="A cross-encoder (folder or Hub id) in place of --ranking; several times for "
            "their mean."
        ),
    ] = None,
    teacher_scale: training.TeacherScale = JudgedRows.scale,
    row_scores: Annotated[
        bool,
        typer.Option(
            "--row-scores",
            help="Phase 2: imitate the scores in the rows (of 'train labels', say), and the "
            "teacher's states alone.",
        ),
    ] = False,
    kind: Annotated[
        str,
        typer.Option(**training.choice(teaching_kinds()), help="Of the teacher's modules."),
    ] = DistillationRecipe.kind,
    fallback: options.FallbackOption = Fallback.error,
    factor: Annotated[
        int, typer.Option(min=1, help="Teacher layers to a student layer.")
    ] = DistillationRecipe.factor,
    layers: Annotated[
        str,
        typer.Option(
            **training.choice(LAYERS),
            help="Layers the student starts as: every factor-th, first, last.",
        ),
    ] = DistillationRecipe.layers,
    min_probability: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Unigram probability of an entry that is kept, in either text."
        ),
    ] = DistillationRecipe.min_probability,
    general_steps: Annotated[
        int, typer.Option(min=1, help="Phase 1: optimizer steps.")
    ] = General.steps,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Phase 1: sequences a step.")
    ] = General.batch_size,
    length: Annotated[
        int, typer.Option(min=8, help="Phase 1: tokens a sequence.")
    ] = General.length,
    general_rate: Annotated[
        float, typer.Option(min=0, help="Phase 1: peak learning rate.")
    ] = General.rate,
    all_text: Annotated[
        bool,
        typer.Option(
            "--all-text/--smaller-text",
            help="Phase 1: use all of both texts, or of each as much as the smaller one has.",
        ),
    ] = False,
    student: Annotated[
        str,
        typer.Option(
            **training.choice(kinds_for(STUDENT)),
            help="Phase 2: train all of it, a mask, or an adapter over it.",
        ),
    ] = Task.student,
    loss: Annotated[
        str, typer.Option(help="Phase 2: of the scores, such as kl(temperature=2)+0.1*infonce.")
    ] = Task.loss,
    steps: Annotated[int, typer.Option(min=1, help="Phase 2: optimizer steps.")] = Task.steps,
    batch_queries: Annotated[
        int, typer.Option(min=1, help="Phase 2: questions a step.")
    ] = Task.batch_queries,
    negatives: Annotated[
        int, typer.Option(min=1, help="Phase 2: negatives a question.")
    ] = Task.negatives,
    pair_length: Annotated[int, typer.Option(min=16, help="Phase 2: tokens a pair.")] = Task.length,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0, help=f"Phase 2: peak learning rate; else {training.usual_rates(STUDENT)}."
        ),
    ] = None,
    mine: training.Mine = Task.mine,
    reduction: Annotated[
        int, typer.Option(min=1, help="Student adapter: base width over adapter width.")
    ] = Task.reduction,
    k: Annotated[
        float, typer.Option(min=0, help="Student mask: coordinates to keep, or a share below 1.")
    ] = DISTILLED.k or 0.0,
    full_steps: Annotated[
        int | None, typer.Option(min=1, help="Student mask: steps that find them; else --steps.")
    ] = None,
    sources: training.Sources = None,
    seed: Seed = DistillationRecipe.seed,
    resume: training.Resume = False,
) -> None:
    """Distil a base and its modules to a smaller model for a source and a target language.

    Phase 1 cuts the vocabulary to both languages and aligns the student with the base on text;
    phase 2 teaches it to rank, on data in the source language. Without --queries it ends after
    phase 1, with an encoder.

    \b
    Example (a toy; real ones have thousands of lines, and steps as by default):
      for l in en sw; do python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('ntrex', queries='$l', documents='$l').documents.values()]" > $l.txt
      done
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1"}' \\
          '{"_id":"q2","text":"How far are stars?","pos":"p2"}' > queries.jsonl
      polyrank distill --source en --target sw --source-text en.txt --target-text sw.txt \\
          --queries queries.jsonl --passages passages.jsonl --general-steps 3 --steps 3 \\
          --output models/en-sw
      polyrank rerank --model models/en-sw --query "Barafu huyeyuka lini?" --passages passages.jsonl
    """
    from polyrank.training.distillation.distil import distill_bilingual

    _of_use(context, queries, student, teacher)
    not_there(output, resume)
    task = Task(
        student=student,
        loss=loss,
        steps=steps,
        batch_queries=batch_queries,
        negatives=negatives,
        length=pair_length,
        rate=rate,
        mine=mine,
        reduction=reduction,
        sparsity=replace(DISTILLED, k=k, full_steps=full_steps),
    )
    card = distill_bilingual(
        base,
        source,
        target,
        (source_text, target_text),
        output,
        queries=queries,
        passages=passages,
        rows=rows,
        query_texts=query_texts,
        columns=training.columns_of(columns),
        ranking=ranking,
        teacher=teacher,
        teacher_scale=teacher_scale,
        row_scores=row_scores,
        kind=kind,
        fallback=fallback.value,
        factor=factor,
        layers=layers,
        min_probability=min_probability,
        general=General(general_steps, batch_size, length, general_rate, not all_text),
        task=task,
        seed=seed,
        resume=resume,
        data=training.sources_of(sources),
        command=command_line(),
    )
    tell(f"wrote {output}: {card.form}, {len(card.layers)} layers, {card.parameters:,} parameters")


def _of_use(
    context: typer.Context, queries: str | None, student: str, teacher: list[str] | None
) -> None:
    """Refuse options that would be ignored."""
    idle: list[tuple[str, tuple[str, ...]]] = []
    if queries is None:
        idle.append(("without --queries", PHASE_2))
    if teacher:
        idle.append(("with --teacher", ("ranking",)))
    else:
        idle.append(("without --teacher", ("teacher-scale",)))
    for reason, names in idle:
        if given := [f"--{name}" for name in names if checks.is_given(context, name)]:
            raise UsageError(f"{', '.join(given)} would be ignored {reason}; leave it out")
    if context.params["factor"] == 1:
        checks.of_no_use(context, "--factor 1, which takes all layers", ("layers",))
    check_of_use(context, student, STUDENT, option="student")
