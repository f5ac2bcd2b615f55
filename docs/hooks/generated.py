"""What MkDocs writes anew at every build: pages that say what the program says of itself.

A line `<!-- generated: NAME -->` in a page becomes what NAME makes, and `<!-- include: FILE -->` a
file of the repository's root, with its links to other such files as links to their pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = {
    "ARCHITECTURE.md": "inside.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "adding.md",
}
INCLUDE = re.compile(r"^<!-- include: (\S+) -->$", re.MULTILINE)
MARK = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' event: a page's text before it is rendered."""
    return MARK.sub(lambda mark: GENERATED[mark[1]](), INCLUDE.sub(_included, markdown))


def _included(mark: re.Match[str]) -> str:
    text = (ROOT / mark[1]).read_text(encoding="utf-8")
    for name, page in PAGES.items():
        text = text.replace(f"]({name})", f"]({page})")
    return text


def command_line() -> str:
    """Every verb with what its help says."""
    import typer
    from polyrank.cli.app import app

    return "\n".join(_verbs(typer.main.get_command(app), ("polyrank",)))


def _verbs(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    import typer

    context = typer.Context(command, info_name=" ".join(words))
    yield f"{'#' * min(len(words) + 1, 4)} {' '.join(words)}\n\n{_about(command.help or '')}\n"
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [_row(*record) for record in records if record and "--help" not in record[0]]
    if rows and len(words) > 1:
        yield "| option | |\n|---|---|\n" + "\n".join(rows) + "\n"
    for name, verb in getattr(command, "commands", {}).items():
        yield from _verbs(verb, (*words, name))


def _row(names: str, told: str) -> str:
    """A row of the table of options."""
    return f"| `{names}` | {_escaped(' '.join(told.split()))} |"


def _about(text: str) -> str:
    """A help text as Markdown; what follows \\b is a block of commands."""
    parts = []
    for part in re.sub(r"^\f.*", "", text, flags=re.DOTALL | re.MULTILINE).split("\n\n"):
        if part.startswith("\b"):
            head, _, rest = part.lstrip("\b\n").partition("\n")
            lines = [line[2:] if line.startswith("  ") else line for line in rest.splitlines()]
            parts.append(f"{head}\n\n```bash\n" + "\n".join(lines) + "\n```")
        else:
            parts.append(_escaped(part))
    return "\n\n".join(parts)


def losses() -> str:
    """The table of `polyrank train losses`, rankings first."""
    from polyrank.training.language import language_objective
    from polyrank.training.losses import by_name

    head = "| loss | needs | what it is | source |\n|---|---|---|---|\n"
    lines = [*by_name.catalogue().splitlines(), *language_objective.catalogue().splitlines()]
    rows = [row.split("\t") for row in lines if row]
    return head + "\n".join(
        f"| `{name}` | {' | '.join(map(_escaped, rest))} |" for name, *rest in rows
    )


def scorers() -> str:
    """The table of what scores by a language model."""
    from polyrank.rerankers.llm.scorers import SCORERS

    return _table("scorer", {name: row.help for name, row in SCORERS.items()})


def objectives() -> str:
    """The table of what a language model learns."""
    from polyrank.training.llm.objectives import OBJECTIVES

    return _table("objective", {name: row.help for name, row in OBJECTIVES.items()})


def _table(head: str, rows: Mapping[str, str]) -> str:
    body = "\n".join(f"| `{name}` | {_escaped(told)} |" for name, told in rows.items())
    return f"| {head} | |\n|---|---|\n{body}"


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]`])", r"\\\1", text).replace("<", "&lt;").replace("|", "&#124;")


GENERATED: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "losses": losses,
    "objectives": objectives,
    "scorers": scorers,
}
