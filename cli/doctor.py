"""polyrank doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby

from polyrank.errors import PolyrankError
from polyrank.progress import note, say

from .options import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what this machine has, and what is missing for which verb.

    A line for each thing: 'ok'; 'note' for what only some verbs need, with these and the command
    that brings it; 'wrong' for what all verbs need. Exits 2 when something is wrong. Nothing is
    fetched or written.

    \b
    Examples:
      polyrank doctor
      polyrank doctor --json
    """
    from polyrank.doctor import examine

    findings = examine()
    if as_json:
        rows = [{**asdict(one), "blocks": one.blocks} for one in findings]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    for topic, group in [] if as_json else groupby(findings, key=lambda one: one.topic):
        say(topic)
        for one in group:
            state = "ok" if one.ok else "wrong" if one.needed else "note"
            use = f"  (for {one.use})" if one.use and not one.ok else ""
            say(f"  {state:<5} {one.name:<24} {one.found}{use}")
            if one.mend:
                say(f"  {'':<5} {'':<24} {one.mend}")
    wrong = [one.name for one in findings if one.blocks]
    if wrong:
        raise PolyrankError(
            f"{', '.join(wrong)}: verbs need this, and it is missing or wrong.\n"
            "Run the commands that are printed above, then 'polyrank doctor' again."
        )
    note("everything that verbs need by default is there")
