"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what it belongs to: packages, extras, machine, base, zoo.
        name: what was looked at.
        found: what it is, or what is wrong with it.
        ok: whether it is as it should be; an extra that is absent is not.
        needed: whether verbs need it that are called without options.
        use: the verbs and options that need it.
        mend: the command that mends it, or what to do.
    """

    topic: str
    name: str
    found: str
    ok: bool = True
    needed: bool = False
    use: str = ""
    mend: str = ""

    @property
    def blocks(self) -> bool:
        """Whether verbs that are called without options cannot work."""
        return self.needed and not self.ok
