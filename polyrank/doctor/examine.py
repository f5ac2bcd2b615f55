"""Everything that is looked at, in its order."""

from __future__ import annotations

from polyrank.doctor.finding import Finding
from polyrank.doctor.hardware import hardware
from polyrank.doctor.packages import extras, versions
from polyrank.doctor.places import places


def examine() -> list[Finding]:
    """What is installed, what this machine has, where things lie, and what is missing for what.

    Nothing is fetched, converted or written.
    """
    return [*versions(), *extras(), *hardware(), *places()]
