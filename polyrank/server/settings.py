"""Limits and habits of a server, as one value."""

from __future__ import annotations

from dataclasses import dataclass

LONG = ("cut", "split")


@dataclass(frozen=True)
class Settings:
    """What a server allows.

    Attributes:
        long_documents: 'cut' reads the beginning of a document that is too long, 'split' scores it
            in passages, of which the best counts.
        max_passages: of one document.
        step_tokens: tokens that the model is given at a time; between steps requests of closed
            connections are dropped and new ones join.
        max_queued_tokens: tokens that may wait; beyond, requests get 429.
        max_queued_tokens_per_key: likewise of one key; None for no bound.
        max_body: bytes of one request.
        max_bodies: bytes of all requests that are being received.
        max_documents: of one request.
        max_characters: of one text.
        body_seconds: in which a request's head, and then its body, must have arrived.
        keys: what `Authorization: Bearer` must hold, one of; none lets everyone in.
        debug: whether texts of errors, with paths and the like, reach logs and clients.
    """

    long_documents: str = "cut"
    max_passages: int = 32
    step_tokens: int = 4096
    max_queued_tokens: int = 500_000
    max_queued_tokens_per_key: int | None = None
    max_body: int = 16 << 20
    max_bodies: int = 256 << 20
    max_documents: int = 1000
    max_characters: int = 1_000_000
    body_seconds: float = 30.0
    keys: tuple[str, ...] = ()
    debug: bool = False
