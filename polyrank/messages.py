"""Messages to the user."""

from __future__ import annotations

import sys


def note(message: str) -> None:
    """A message to the user, on stderr: results alone go to stdout."""
    print(f"polyrank: {message}", file=sys.stderr)
