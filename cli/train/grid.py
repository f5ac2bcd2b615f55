"""polyrank train grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.locks import locked
from polyrank.progress import note

from .. import checks


def grid(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What is compared, in YAML.", metavar="FILE.yaml")],
    work: Annotated[
        Path | None, typer.Option(help="Folder of what is trained, kept; else runs/NAME.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report; else 'report' in --work.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the trainings; run nothing.")
    ] = False,
) -> None:
    """Compare losses of distillation: backbones × students × losses × seeds.

    Every training learns from one file of teacher scores. Losses are ranked over backbones and
    pairs of languages by Friedman's and Nemenyi's tests, with a critical-difference diagram. What
    is finished stays in --work, so a run that was stopped goes on with the same command.

    \b
    Example (a toy; experiments/grids/distillation-losses.yaml is a real one):
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' \\
          '{"_id":"q1","text":"Ice?","pos":"p1","neg":"p2","pos_score":2,"neg_scores":[0]}' \\
          '{"_id":"q2","text":"Stars?","pos":"p2","neg":"p1","pos_score":3,"neg_scores":[1]}' \\
          > scored.jsonl
      printf '%s\\n' 'title: A toy' 'data: {queries: scored.jsonl, passages: passages.jsonl}' \\
          'backbones: {e5-small: e5-small}' 'losses: [infonce, margin_mse, ranknet]' 'seeds: [1]' \\
          'train: {kind: adapter, steps: 1, batch_queries: 2, length: 64}' \\
          'evaluate: {source: xquad, pairs: [[en, en], [tr, en]], queries: 2, depth: 3}' > toy.yaml
      polyrank train grid toy.yaml --work toy
    """
    from polyrank.experiments.grid.report import write_report
    from polyrank.experiments.grid.run import run_grid
    from polyrank.experiments.grid.specification import read_grid

    if dry_run:
        checks.of_no_use(context, "--dry-run", ("work", "output"))
    wanted = read_grid(file)
    work = work or Path("runs") / file.stem
    output = output or work / "report"
    if dry_run:
        for cell in wanted.cells():
            print(cell.folder)
        return
    with locked(work, inside=True):
        print(write_report(wanted, run_grid(wanted, work, note), output))
    note(f"wrote {output / 'report.md'}, results.json and ranks.svg beside it")
