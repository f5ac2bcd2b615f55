"""Names of modules: short, full, and of a repository of the Hugging Face Hub. Needs no network."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from polyrank.errors import UsageError
from polyrank.modules.card import ROLES
from polyrank.modules.kinds import KINDS

DEFAULT_REVISION = "main"
_PART = r"[A-Za-z0-9][\w.\-+]*"  # of a repository or of a path: never '..', never hidden
_HUB = re.compile(rf"(?P<repository>{_PART}/{_PART})(?P<path>(/{_PART})*)(@(?P<revision>.+))?")
_REVISION = re.compile(r"[\w][\w.\-+]*(/[\w][\w.\-+]*)*")


@dataclass(frozen=True)
class HubName:
    """A module on the Hub: `owner/repository[/path][@revision]`.

    Attributes:
        repository: `owner/repository`.
        path: the module's folder in it; empty where the repository is the module.
        revision: a branch, a tag or a commit; `main` by default.
    """

    repository: str
    path: str = ""
    revision: str = DEFAULT_REVISION

    def __str__(self) -> str:
        at = "" if self.revision == DEFAULT_REVISION else f"@{self.revision}"
        return f"{self.place}{at}"

    @property
    def place(self) -> str:
        """The name without its revision."""
        return f"{self.repository}/{self.path}" if self.path else self.repository

    def at(self, revision: str) -> HubName:
        """The same module at another revision."""
        return replace(self, revision=revision)

    def file(self, name: str) -> str:
        """A file's path in the repository."""
        return f"{self.path}/{name}" if self.path else name


def is_full(name: str) -> bool:
    """Whether a name is a full one, such as `e5-small/language/adapter/ky`."""
    parts = name.split("/")
    return len(parts) == 4 and parts[1] in ROLES and parts[2] in KINDS


def is_hub(name: str) -> bool:
    """Whether a name, when it is not a folder, means a repository of the Hub."""
    return "/" in name and not name.startswith((".", "/", "~")) and not is_full(name)


def hub_name(name: str) -> HubName:
    """Read `owner/repository[/path][@revision]`.

    Raises:
        UsageError: anything else, such as a path that climbs out with `..`.
    """
    match = _HUB.fullmatch(name)
    revision = match and (match["revision"] or DEFAULT_REVISION)
    if not match or not revision or not _REVISION.fullmatch(revision) or ".." in name:
        raise UsageError(
            f"'{name}' is not a name of a module on the Hub.\n"
            "Write it as owner/repository[/path][@revision], e.g. org/e5-small-ky or "
            "org/zoo/language/adapter/ky@v1."
        )
    return HubName(match["repository"], match["path"].strip("/"), revision)
