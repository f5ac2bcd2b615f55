"""The command line: `polyrank VERB`."""

from __future__ import annotations


def main() -> None:
    """What the installed command `polyrank` runs."""
    import sys

    from .app import app

    if hasattr(sys.stdout, "reconfigure"):  # results are UTF-8, whatever the terminal's language
        sys.stdout.reconfigure(encoding="utf-8")
    app(prog_name="polyrank")
