"""polyrank detect: the language of texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import UsageError
from polyrank.progress import say

from .checks import typed
from .options import AsJson


def detect(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; else --file or stdin.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text per line; .gz is read too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Identify the language of texts: language, confidence and text, separated by tabs.

    \b
    Examples:
      polyrank detect "Суунун кайноо температурасы канча?" "Wie hoch ist der Siedepunkt?"
      echo "Maji huchemka kwa joto gani?" | polyrank detect --json
    """
    if texts and file is not None:
        raise UsageError("give texts or --file, not both")
    for given in texts or ():
        typed("a text", given)
    from polyrank.languages.tags import identify

    lines = list(texts) if texts else list(_lines(file))
    for text, found in zip(lines, identify(lines), strict=True):
        if as_json:
            row = {"language": found.language, "confidence": found.confidence, "text": text}
            print(json.dumps(row, ensure_ascii=False))
        else:
            say(f"{found.language or 'und'}\t{found.confidence:.3f}\t{text}")


def _lines(file: Path | None) -> Iterator[str]:
    if file is not None:
        from polyrank.collections.files import open_text

        yield from open_text(file)
        return
    if sys.stdin.isatty():
        raise UsageError("give texts, --file, or text on standard input")
    from polyrank.collections.files import decoded

    lines = (decoded(raw, "standard input", n) for n, raw in enumerate(sys.stdin.buffer, start=1))
    yield from (line for line in lines if line.strip())
