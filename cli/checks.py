"""Whether options were given, go together, and can be done, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from polyrank.errors import UsageError

from .options import Normalise, Routing


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option was given, rather than left at its default."""
    source = context.get_parameter_source(name.replace("-", "_"))
    return getattr(source, "name", None) == "COMMANDLINE"


def not_beside(context: typer.Context, option: str, others: Sequence[str]) -> None:
    """Refuse options that another one decides.

    Raises:
        UsageError: when one of them is given.
    """
    given = [f"--{name}" for name in others if is_given(context, name)]
    if given:
        raise UsageError(f"--{option} says that already; leave out {', '.join(given)}")


def of_no_use(context: typer.Context, option: str, others: Sequence[str]) -> None:
    """Refuse options that do nothing where an option is, or is not, given.

    Args:
        option: in words, such as "--no-rerank".

    Raises:
        UsageError: when one of them is given.
    """
    given = ", ".join(f"--{name.removeprefix('as-')}" for name in others if is_given(context, name))
    if given:
        raise UsageError(f"{given} would do nothing with {option}; leave out {given}")


def modules_of_use(
    context: typer.Context, routing: Routing | None, others: Sequence[str] = ("fallback",)
) -> None:
    """Refuse options of language modules under the routing that takes none.

    Raises:
        UsageError: when one of them is given.
    """
    if routing is not None and routing.value == "none":
        of_no_use(context, "the routing 'none'", others)


def one_of(**options: Any) -> None:
    """Refuse none or several of the options.

    Raises:
        UsageError: unless exactly one is given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    names = [f"--{name.replace('_', '-')}" for name in options]
    if len(given) != 1:
        found = f"not {' and '.join(given)} together" if given else "none was given"
        raise UsageError(f"give one of {', '.join(names)}; {found}")


def typed(name: str, value: str | None) -> None:
    """Refuse a text that holds nothing, or what the terminal did not send as UTF-8.

    Raises:
        UsageError: such a text.
    """
    if value is None:
        return
    if not value.strip():
        raise UsageError(f"{name} is empty; give a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{name} is not UTF-8: {value!r}.\nSet the terminal to UTF-8 (LANG=C.UTF-8), or "
            "convert the text with iconv."
        ) from None


def writable(output: Path | None, *inputs: Path | None) -> None:
    """Refuse, before the work, a run that cannot be written, that is read, or that would replace
    something else than a run.

    Raises:
        UsageError: such an output.
    """
    from polyrank.collections.files import check_writable, refuse_over
    from polyrank.collections.run_lines import refuse_over_other
    from polyrank.runs.resume import sidecar

    if output is not None:
        refuse_over(output, *inputs)
        check_writable(output)
        if not sidecar(output).exists():  # else a kill may have cut its first line
            refuse_over_other(output)


def normalisation(interpolate: float | None, normalise: Normalise | None) -> str:
    """By which scores are mixed.

    Raises:
        UsageError: --normalise without --interpolate.
    """
    if normalise is not None and interpolate is None:
        raise UsageError("--normalise goes with --interpolate")
    return (normalise or Normalise.min_max).value
