"""Asking a server over HTTP: an address that is one, and another try while it is busy or lost."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from polyrank.errors import UsageError

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # statuses worth another try
LONGEST_WAIT = 30.0  # seconds between two tries

T = TypeVar("T")


class Busy(Exception):
    """A server that asks to be tried again.

    Args:
        status: of its answer.
        after: its Retry-After, of which seconds are understood.
    """

    def __init__(self, status: int, after: str | None) -> None:
        super().__init__(f"status {status}")
        seconds = after is not None and after.isascii() and after.replace(".", "", 1).isdigit()
        self.after = float(after) if after and seconds else None


class Unanswered(Exception):
    """A server that did not answer in all its tries; the message says what the last one met."""

    def __init__(self, tries: int, last: Exception) -> None:
        super().__init__(f"{tries} tries: {str(last) or type(last).__name__}")


def address(url: str) -> SplitResult:
    """The parts of a server's address.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half of an IPv6 address
        whole = False
    if not whole or not url.isprintable() or " " in url or not parts.path.isascii():
        raise UsageError(f"'{url}' is not an address of a server; give one as http://HOST:PORT")
    return parts


def with_retries(ask: Callable[[], T], retries: int, wait: float) -> T:
    """What `ask` returns, after as many tries as it takes.

    Args:
        ask: one try; it raises `Busy`, or what a lost connection raises, where another is worth it.
        retries: further tries after the first.
        wait: seconds before the first of them, and twice as long before each that follows; longer
            where the server asks for it, and never more than `LONGEST_WAIT`.

    Raises:
        Unanswered: no try succeeded. Other errors of `ask` end it at once.
    """
    for attempt in range(retries + 1):
        try:
            return ask()
        except (OSError, http.client.HTTPException, Busy) as error:  # TLS's errors are OSErrors
            if attempt == retries:
                raise Unanswered(attempt + 1, error) from error
            asked = error.after if isinstance(error, Busy) else None
            time.sleep(min(LONGEST_WAIT, max(wait, asked or 0.0)))
            wait *= 2
    raise AssertionError("unreachable")
