"""polyrank train labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import UsageError
from polyrank.progress import note
from polyrank.training.examples.judged import JudgedRows

from .. import checks
from ..options import Seed
from . import options

FORMS = ("scores", "chances", "grades")
JOINS = ("mean", "ranks")
OF_TEACHERS = ("passages", "form", "join", "beta", "teacher-scale", "count", "source", "seed")


def labels(
    context: typer.Context,
    queries: Annotated[
        Path,
        typer.Option(
            help="Texts of the questions; with --teacher, rows of questions and passages."
        ),
    ],
    output: Annotated[Path, typer.Option(help="JSON lines for --queries of a training.")],
    comparisons: Annotated[
        Path | None,
        typer.Argument(help="JSON lines: query, winner, loser (ids), optionally weight."),
    ] = None,
    prior: Annotated[
        float,
        typer.Option(min=0, help="Comparisons: wins and losses that every passage is given."),
    ] = 0.1,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="In place of comparisons, a reranker that scores the rows, several times for "
            "several: as for the trainings, and also bm25 or dense."
        ),
    ] = None,
    passages: options.Passages = None,
    form: Annotated[
        str,
        typer.Option(
            **options.choice(FORMS),
            help="Raw scores; chances from 0 to 1, or grades from 0 to 10, by quantiles of all "
            "scores.",
        ),
    ] = "scores",
    join: Annotated[
        str,
        typer.Option(
            **options.choice(JOINS),
            help="Several teachers: the mean of their scores; or of two, the second of which sees "
            "lists, -beta*log(rank) - (1-beta)*log(rank) (GroupRank).",
        ),
    ] = "mean",
    beta: Annotated[float, typer.Option(min=0, max=1, help="See --join.")] = 0.5,
    teacher_scale: options.TeacherScale = JudgedRows.scale,
    count: Annotated[
        int | None, typer.Option(min=1, help="Rows to label, drawn by the seed; else all.")
    ] = None,
    source: options.Source = JudgedRows.source,
    seed: Seed = 13,
) -> None:
    """Make scores for training rows without people.

    From pairwise comparisons, by Bradley-Terry strengths: the strongest passage of a query becomes
    its positive, the others its negatives. Passages that no chain of comparisons connects with most
    of the others are left out and counted.

    Or from rerankers, which score the passages of each row. The rows say which ones, with what
    their scores depend on. A stopped run goes on with the same command.

    \b
    Examples:
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?"}' > asked.jsonl
      printf '%s\\n' '{"query":"q1","winner":"p1","loser":"p2"}' \\
          '{"query":"q1","winner":"p1","loser":"p3"}' > comparisons.jsonl
      polyrank train labels comparisons.jsonl --queries asked.jsonl --output labelled.jsonl
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1","neg":"p2"}' > rows.jsonl
      polyrank train labels --queries rows.jsonl --passages passages.jsonl --teacher bm25 \\
          --teacher dense --teacher-scale min-max --form chances --output chances.jsonl
    """
    from polyrank.collections.files import refuse_over

    refuse_over(output, comparisons, queries, passages)
    if (comparisons is None) == (not teacher):
        raise UsageError("give a file of comparisons, or rerankers with --teacher")
    if comparisons is not None:
        for option in OF_TEACHERS:
            if checks.is_given(context, option):
                raise UsageError(f"--{option} goes with --teacher, not with comparisons")
        _from_comparisons(comparisons, queries, output, prior)
        return
    if checks.is_given(context, "prior"):
        raise UsageError("--prior goes with comparisons, not with --teacher")
    joins = {"mean": ("beta",), "ranks": ("teacher-scale",)}
    checks.of_no_use(context, f"--join {join}", joins[join])
    from polyrank.languages import tags
    from polyrank.training.examples.labels import Labelling, write_labels
    from polyrank.training.examples.rows import read_rows

    language = tags.normalise(source)
    labelling = Labelling(tuple(teacher or ()), form, join, teacher_scale, beta)
    examples, documents = read_rows(queries, passages, language=language)
    written = write_labels(examples, documents, labelling, language, output, count, seed)
    note(f"wrote {output}: {written} rows, {form} of {' and '.join(labelling.teachers)}")


def _from_comparisons(comparisons: Path, queries: Path, output: Path, prior: float) -> None:
    from polyrank.collections.text_files import read_queries
    from polyrank.training.examples.comparisons import labelled
    from polyrank.training.examples.negatives import write_examples

    found = labelled(comparisons, read_queries(queries), prior)
    write_examples(output, found.examples)
    note(f"wrote {output}: {found}")
