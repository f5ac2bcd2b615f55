"""What the Hub's client raises when a connection fails: of `requests` before 1.0, then `httpx`."""

from __future__ import annotations

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
    """The errors of the installed `huggingface_hub`'s HTTP library."""
    import huggingface_hub

    if int(huggingface_hub.__version__.split(".")[0]) < 1:
        return _of_requests()
    import httpx

    network, timeout = httpx.NetworkError, httpx.TimeoutException
    cut = (network, httpx.ProtocolError, httpx.DecodingError)
    return Failures((httpx.RequestError,), (network, timeout), cut)


def _of_requests() -> Failures:
    from requests import exceptions

    lost = exceptions.ConnectionError
    cut = (exceptions.ChunkedEncodingError, exceptions.ContentDecodingError, lost)
    return Failures((exceptions.RequestException,), (lost, exceptions.Timeout), cut)
