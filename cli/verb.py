"""What holds for every verb, before its own code runs: its outputs are its own, and no input's."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from polyrank.errors import UsageError
from polyrank.installed import require
from polyrank.locks import locked

from .pipes import pipes_as_files

OUTPUTS = (  # parameters that name what is written
    "output",
    "per_query",
    "rejected",
    "checkpoint",
    "failed",
)
LANGUAGES = ("language", "query_language", "document_language")  # that are one tag
TEXTS = (*LANGUAGES, "languages", "source", "target", "query", "loss", "split")  # never a path
BOTH = ("work", "zoo")  # that name folders that are written and read
KEPT = ("memory",)  # that name files that are read, and appended to


class Verb(TyperCommand):
    """A command whose outputs are locked while it runs, and are none of its inputs."""

    def invoke(self, ctx: Any) -> Any:
        refuse_endless(self.params, ctx.params)
        outputs = dict(outputs_of(ctx.params))
        refuse_inputs(outputs, ctx.params)
        check_values(ctx.params)
        with ExitStack() as locks:
            if os.environ.get("RANK", "0") == "0":  # of a launch the first process writes
                for path in outputs.values():
                    locks.enter_context(locked(path))
            ctx.params = locks.enter_context(pipes_as_files(ctx.params, OUTPUTS))
            return super().invoke(ctx)


class Training(Verb):
    """A verb that trains: what that needs is looked for before its data is read."""

    def invoke(self, ctx: Any) -> Any:
        require("train", "training")
        return super().invoke(ctx)


class App(typer.Typer):
    """A group of verbs."""

    def command(self, name: str | None = None, **options: Any) -> Any:
        return super().command(name, **{"cls": Verb, **options})


def outputs_of(params: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """The files and folders that a call writes; not standard output, pipes or devices."""
    for name in OUTPUTS:
        path = params.get(name)
        if path is None or str(path) == "-":
            continue
        path = Path(path)
        if not path.exists() or path.is_file() or path.is_dir():
            yield name, path


def refuse_inputs(outputs: Mapping[str, Path], params: Mapping[str, Any]) -> None:
    """Refuse an output, or a file that is appended to, that is also an input or another output.

    Raises:
        UsageError: such an output, by whatever name it is called.
    """
    from polyrank.collections.files import refuse_over

    read = [path for name, value in params.items() for path in _paths(name, value)]
    appended = {name: Path(params[name]) for name in KEPT if params.get(name) is not None}
    seen: dict[Path, str] = {}
    for name, path in (*appended.items(), *outputs.items()):
        refuse_over(path, *read, *(appended.values() if name in outputs else ()))
        place = path.resolve()
        if place in seen:
            options = " and ".join(f"--{one.replace('_', '-')}" for one in (seen[place], name))
            raise UsageError(f"{options} are both {path}; give each its own")
        seen[place] = name


def refuse_endless(options: Iterable[Any], params: Mapping[str, Any]) -> None:
    """Refuse 'nan' and 'inf', which a range of numbers lets through.

    Args:
        options: of the command, as Typer knows them.

    Raises:
        UsageError: it names the option.
    """
    for option in options:
        value = params.get(option.name)
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, float) and not math.isfinite(one):
                raise UsageError(f"{option.opts[0]} is {one}; give a finite number")


def check_values(params: Mapping[str, Any]) -> None:
    """Refuse, before anything is loaded, languages, precisions and devices that there are not.

    Raises:
        PolyrankError: such a value.
    """
    from polyrank.languages.tags import normalise

    for name in LANGUAGES:
        if isinstance(params.get(name), str) and params[name]:
            normalise(params[name])
    if isinstance(params.get("precision"), str):
        from polyrank.encoders.precision import AUTO, as_precision

        if params["precision"] != AUTO:
            as_precision(params["precision"])
    if isinstance(params.get("device"), str):
        from polyrank.machine import device_of

        device_of(params["device"])


def _paths(name: str, value: Any) -> Iterator[Path]:
    """The files and folders that a parameter names; a text may name one: a model's, ky=FILE or
    memory:FILE."""
    if name in (*OUTPUTS, *BOTH, *KEPT, *TEXTS):
        return
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, Path):
            yield one
        elif isinstance(one, str) and one and "\0" not in one:
            yield from map(Path, {one, one.partition("=")[2], one.partition(":")[2]} - {""})
