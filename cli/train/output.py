"""Where a training writes, and the command that its card quotes."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import typer

from polyrank.errors import UsageError
from polyrank.locks import locked
from polyrank.modules.card import ModuleCard, slug
from polyrank.progress import note


def not_there(output: Path, resume: bool) -> None:
    """Refuse to train over a finished result, or over a run that could be resumed.

    A run that was killed after its result was written has nothing to go on with: --resume then
    removes the work folder and ends. Of several processes the main one alone says so: it may have
    begun when another gets here.
    """
    work = Path(f"{output}.work")
    if output.exists():
        if resume:
            _end_finished(output, work)
        if is_main():
            raise UsageError(f"{output} exists already; use another --output, or remove it")
    elif is_main() and work.exists() and not resume:
        raise UsageError(
            f"{work} holds an unfinished run; continue it with --resume, or start over after:  "
            f"rm -r {work}"
        )


def _end_finished(output: Path, work: Path) -> None:
    """End here where a run was stopped after its last step but one, which is done now."""
    from polyrank.training.loop.run import clear, is_left

    if not is_main():
        raise typer.Exit
    with locked(output):
        if is_left(work):
            clear(work)
            note(f"{output} was finished; removed {work}, which the stopped run had left")
            raise typer.Exit


def is_main() -> bool:
    """Whether this process reports: the only one, or the first of a launch."""
    return os.environ.get("RANK", "0") == "0"


def tell(*messages: str) -> None:
    """What came of a training, said once."""
    for message in messages if is_main() else ():
        note(message)


def how_to_use(output: Path, card: ModuleCard) -> str:
    """How the module that was written is found."""
    place = Path(slug(card.base), card.role, card.kind, card.name)
    if output.absolute().parts[-4:] == place.parts:
        return f"it is found where POLYRANK_ZOO={output.parents[3]} is set"
    if card.role == "ranking":
        return f"use it with --ranking {output}, or as {place} in a folder of $POLYRANK_ZOO"
    return f"to be found by its language it must stand as {place} in a folder of $POLYRANK_ZOO"


def command_line() -> str:
    """This command as it was typed, less --resume: the result is the same."""
    return shlex.join(["polyrank", *(word for word in sys.argv[1:] if word != "--resume")])
