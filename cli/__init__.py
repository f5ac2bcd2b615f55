"""The command line: `polyrank VERB`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    """What the installed command `polyrank` runs."""
    try:
        from .app import app
    except KeyboardInterrupt:  # in the second that the imports take
        sys.stderr.write("polyrank: stopped\n")
        sys.exit(130)
    _plain_warnings()
    if hasattr(sys.stdout, "reconfigure"):  # results are UTF-8, whatever the terminal's language
        sys.stdout.reconfigure(encoding="utf-8")
    app(prog_name="polyrank")


def _plain_warnings() -> None:
    """What polyrank warns of reads like its other messages, without a line of its source."""
    import polyrank
    from polyrank.progress import note

    ours = tuple(str(Path(file).parent) for file in (polyrank.__file__, __file__))
    usual = warnings.showwarning

    def show(message: Any, category: Any, filename: str, *rest: Any) -> None:
        if filename.startswith(ours):
            note(str(message))
        else:
            usual(message, category, filename, *rest)

    warnings.showwarning = show  # type: ignore[assignment]
