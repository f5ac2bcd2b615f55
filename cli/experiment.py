"""polyrank experiment: run a comparison that a YAML file describes, and report it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import UsageError
from polyrank.progress import note

from . import checks, options


def experiment(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What is compared, in YAML.", metavar="FILE.yaml")],
    work: Annotated[
        Path | None,
        typer.Option(help="Folder of runs and scores, kept; else runs/NAME of the file."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the reports; else 'report' in --work.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this system, or those that fit, such as 'adapters*'; repeatable."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="A trial: at most so many queries a pair.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the matrix and what is missing; run nothing.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Run an experiment and write one report: Markdown, HTML with plots, LaTeX, JSON.

    What is finished stays in --work, so a run that was stopped goes on with the same command; it
    refuses to go on when settings, modules or texts have changed. Prints the table and the tests.

    \b
    Examples:
      printf '%s\\n' 'title: A first comparison' 'collections:' \\
          '  ntrex: {source: ntrex, pairs: [[tr, en], [sw, en]], queries: 5}' 'systems:' \\
          '  BM25: {search: bm25}' '  dense: {search: dense}' 'compare:' \\
          '  - {system: dense, against: BM25}' > first.yaml
      polyrank experiment first.yaml --dry-run
      polyrank experiment first.yaml --work first
    """
    from polyrank.experiments.experiment import plan, run_experiment
    from polyrank.experiments.reader import read_specification

    trial = f"-limit-{limit}" if limit else ""
    work = work or Path("runs") / f"{file.stem}{trial}"
    if dry_run:
        if as_json:
            raise UsageError("--dry-run prints no JSON; leave out --json")
        checks.of_no_use(context, "--dry-run", ("output",))
        if checks.is_given(context, "work"):  # else it is part of its name
            checks.of_no_use(context, "--dry-run and --work", ("limit",))
        print(plan(read_specification(file), work, only or ()))
        return
    output = output or work / "report"
    command = shlex.join(["polyrank", *sys.argv[1:]])
    try:
        results = run_experiment(file, work, output, only or (), limit, command, note)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{work} holds what was done so far; go on with the same command"
        ) from None
    from polyrank.experiments.report_markdown import summary

    print(json.dumps(results, ensure_ascii=False, indent=1) if as_json else summary(results))
    note(f"wrote {output / 'report.html'}, and the same as .md, .tex and results.json beside it")
