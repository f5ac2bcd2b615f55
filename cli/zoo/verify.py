"""polyrank zoo verify."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from polyrank.errors import ModuleError
from polyrank.progress import note, say

from ..options import AsJson
from .warned import warnings_as_notes


def verify_(
    name: Annotated[
        str | None, typer.Argument(help="A full name, a folder, or a pulled module; else all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check modules: cards, sha256 of every file, whole safetensors, plain files, their base.

    Prints a line per module, 'ok' or 'wrong' with the reason, and exits 2 when any is wrong.

    \b
    Examples:
      polyrank zoo verify
      polyrank zoo verify e5-small/language/adapter/ky
    """
    from polyrank.zoo import verify

    with warnings_as_notes():
        verdicts = verify(name)
    wrong = [one for one in verdicts if one.problem]
    if as_json:
        rows = [{**asdict(one), "path": str(one.path)} for one in verdicts]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    for one in [] if as_json else verdicts:
        say("wrong" if one.problem else "ok", one.name, one.path, sep="\t")
        if one.problem:
            say("  " + one.problem.replace("\n", "\n  "))
    if wrong:
        raise ModuleError(f"{len(wrong)} of {len(verdicts)} modules are wrong; see what is printed")
    note(f"{len(verdicts)} modules match their cards")
