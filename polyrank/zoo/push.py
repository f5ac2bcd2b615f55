"""Publish a module on the Hub: its files, its card, and a README for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyrank.modules.card import CARD_FILE, ModuleCard, readme
from polyrank.modules.soundness import check_folder
from polyrank.zoo import hub
from polyrank.zoo.find import info
from polyrank.zoo.names import HubName, hub_name


@dataclass(frozen=True)
class Publication:
    """What goes, or went, where.

    Attributes:
        module: its full name.
        target: the repository, the path in it and the revision.
        files: path in the repository → its bytes, or the file they are read from.
        private: whether a repository that is made anew is private.
        commit: the commit that was made; None for a plan.
    """

    module: str
    target: HubName
    files: Mapping[str, Path | bytes]
    private: bool = False
    commit: str | None = None

    def size(self, path: str) -> int:
        """Bytes of one of the files."""
        file = self.files[path]
        return len(file) if isinstance(file, bytes) else file.stat().st_size


def plan(
    name: str, target: str, private: bool = False, zoo: str | Path | None = None
) -> Publication:
    """What `push` would upload, after checking the module; needs no network.

    Args:
        name: a full name or a folder.
        target: `owner/repository[/path][@branch]`.
        private: make a new repository private.
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.

    Raises:
        ModuleError: a module that is missing, broken or unsafe.
        UsageError: a malformed name.
    """
    where = hub_name(target)
    entry = info(name, zoo, verify=False)
    card = check_folder(entry.path)
    files: dict[str, Path | bytes] = {where.file(file): entry.path / file for file in card.files}
    files[where.file(CARD_FILE)] = entry.path / CARD_FILE
    files[where.file("README.md")] = readme(card, published=str(where)).encode()
    return Publication(entry.name, where, dict(sorted(files.items())), private)


def push(
    name: str,
    target: str,
    private: bool = False,
    message: str | None = None,
    zoo: str | Path | None = None,
) -> Publication:
    """Publish a module: create the repository where there is none, and upload it in one commit.

    Where the module goes into a path of a repository that has no README yet, the repository gets
    one with the tag `polyrank`, so that it is found.

    Args:
        name, target, private, zoo: as of `plan`.
        message: of the commit.

    Returns:
        The plan, with the commit.

    Raises:
        HubError: the Hub is not reached, or does not allow it.
        ModuleError: a module that is missing, broken or unsafe.
        UsageError: a malformed name.
    """
    publication = plan(name, target, private, zoo)
    where = publication.target
    with hub.said_plainly(where, "push to"):
        from huggingface_hub import CommitOperationAdd

        api = hub.client()
        api.create_repo(where.repository, private=private or None, exist_ok=True)
        files = dict(publication.files)
        if where.path and not api.file_exists(where.repository, "README.md"):
            card = check_folder(info(name, zoo, verify=False).path)
            files["README.md"] = _front_page(card, where).encode()
        done = api.create_commit(
            where.repository,
            [
                CommitOperationAdd(path, data if isinstance(data, bytes) else str(data))
                for path, data in files.items()
            ],
            commit_message=message or f"Add {publication.module}",
            revision=where.revision,
        )
    return dataclasses.replace(publication, files=files, commit=done.oid)


def _front_page(card: ModuleCard, where: HubName) -> str:
    """The README of a repository that holds modules in folders."""
    header, _ = readme(card).removeprefix("---\n").split("---\n", 1)
    kept = ("base_model", "license", "library_name", "pipeline_tag")
    lines = [line for line in header.splitlines() if line.split(":")[0] in kept]
    return "\n".join(
        [
            *("---", *lines, 'tags: ["polyrank"]', "---", "", f"# {where.repository}", ""),
            f"Modules of polyrank for the base `{card.base}`, a folder each. List and fetch them:",
            *("", "```bash", f"polyrank zoo list --source remote --where {where.repository}"),
            *(f"polyrank zoo pull {where}", "```", ""),
        ]
    )
