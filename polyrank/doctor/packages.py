"""Versions of what polyrank needs, and the extras that some verbs need besides."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from polyrank.doctor.finding import Finding
from polyrank.installed import EXTRAS, is_installed

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def versions() -> Iterator[Finding]:
    """Python, polyrank, and each package that it always needs, with the version that is wanted."""
    yield Finding("packages", "python", f"{platform.python_version()}, {platform.platform()}")
    try:
        ours = metadata.distribution("polyrank")
    except metadata.PackageNotFoundError:
        yield Finding(
            "packages", "polyrank", "not installed", False, True, "all verbs", "make demo"
        )
        return
    yield Finding("packages", "polyrank", ours.version)
    if not is_installed("packaging"):
        yield Finding(
            "packages", "packaging", "absent", False, True, "doctor", "pip install packaging"
        )
        return
    from packaging.requirements import Requirement

    for text in ours.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield required(requirement)


def required(requirement: Requirement) -> Finding:
    """What is installed of a package, against what is wanted of it."""
    mend = f"pip install '{re.sub(r';.*', '', str(requirement)).strip()}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding("packages", requirement.name, "absent", False, True, "all verbs", mend)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding("packages", requirement.name, version, needed=True)
    found = f"{version}, but {requirement.specifier} is wanted"
    return Finding("packages", requirement.name, found, False, True, "all verbs", mend)


def extras() -> Iterator[Finding]:
    """Each extra: whether its packages are there, what needs it, the command that installs it."""
    for name, extra in EXTRAS.items():
        absent = [module for module in extra.modules if not is_installed(module)]
        found = f"absent: {', '.join(absent)}" if absent else "installed"
        mend = f"pip install 'polyrank[{name}]'" if absent else ""
        yield Finding("extras", name, found, not absent, use=extra.use, mend=mend)
