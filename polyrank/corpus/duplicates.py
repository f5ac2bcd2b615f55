"""Lines that equal an earlier one, character by character."""

from __future__ import annotations

from hashlib import blake2b


class Duplicates:
    """Holds 64 bits of a hash and a number for each different line, about 150 bytes.

    Among n lines two are taken for equal by mistake with probability n² / 2⁶⁵: 3e-8 for a million.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}

    def first(self, number: int, text: str) -> int | None:
        """The number of the earlier line with this text; None, and it is remembered, if new."""
        earlier = self._first.setdefault(blake2b(text.encode(), digest_size=8).digest(), number)
        return None if earlier == number else earlier
