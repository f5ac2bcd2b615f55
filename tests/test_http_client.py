"""Addresses of servers, and the waits between tries."""

from __future__ import annotations

import http.client

import pytest

from polyrank import http_client
from polyrank.errors import UsageError
from polyrank.http_client import Busy, Unanswered, address, with_retries
from polyrank.rerankers.llm.engines.http import HTTPEngine
from polyrank.translation.translator import load_translator

WRONG = [
    "http://localhost:abc", "http://localhost:99999", "http://[::1", "http://", "http:localhost",
    "http://local host", "http://localhost/a\nb", "http://localhost/ü",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_address(url):
    for made in (load_translator, lambda url: HTTPEngine(url, "tiny", object())):
        with pytest.raises(UsageError, match="is not an address of a server"):
            made(url)


def test_addresses():
    assert address("http://localhost:5000/v1").port == 5000
    assert address("https://[::1]/").hostname == "::1"


def test_waits_by_hand(monkeypatch):
    """Twice as long each time, as long as the server asks for, and never more than 30 s."""
    slept: list[float] = []
    monkeypatch.setattr(http_client.time, "sleep", slept.append)
    met = [
        OSError(), Busy(503, None), Busy(429, "7"), Busy(429, "900"), Busy(429, "tomorrow"),
        http.client.IncompleteRead(b""),
    ]  # fmt: skip

    def ask():
        if met:
            raise met.pop(0)
        return "said"

    assert with_retries(ask, 6, 0.5) == "said"
    assert slept == [0.5, 1.0, 7.0, 30.0, 8.0, 16.0]
    met = [Busy(503, None)] * 3
    with pytest.raises(Unanswered, match="^3 tries: status 503$"):
        with_retries(ask, 2, 0.5)
    met = [KeyError("x")]
    with pytest.raises(KeyError):
        with_retries(ask, 2, 0.5)
