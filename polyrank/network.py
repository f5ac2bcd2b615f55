"""What the Hub's client raises when a connection fails: of `requests`, `httpx` or `httpx2`, by its
version."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

Kinds = tuple[type[Exception], ...]


class Failures(NamedTuple):
    """Kinds of errors, for `except` and `isinstance`."""

    any: Kinds
    """Whatever went wrong between here and a server."""
    unreachable: Kinds
    """No connection, or no answer in time."""
    broken_off: Kinds
    """A download that ended in the middle, or arrived damaged."""


def failures() -> Failures:
    """The errors of the HTTP library that the installed `huggingface_hub` takes."""
    from huggingface_hub.errors import HfHubHTTPError

    libraries = {kind.__module__.partition(".")[0] for kind in HfHubHTTPError.__mro__}
    if "requests" in libraries:
        return _of_requests()
    library = import_module("httpx2" if "httpx2" in libraries else "httpx")
    network, timeout = library.NetworkError, library.TimeoutException
    cut = (network, library.ProtocolError, library.DecodingError)
    return Failures((library.RequestError,), (network, timeout), cut)


def _of_requests() -> Failures:
    from requests import exceptions

    lost = exceptions.ConnectionError
    cut = (exceptions.ChunkedEncodingError, exceptions.ContentDecodingError, lost)
    return Failures((exceptions.RequestException,), (lost, exceptions.Timeout), cut)
