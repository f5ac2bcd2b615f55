"""The command line: `polyrank VERB`."""

from __future__ import annotations


def main() -> None:
    """What the installed command `polyrank` runs."""
    from .app import app

    app(prog_name="polyrank")
