"""A composition as one small file: the plan, and the sha256 of every weight that it is made of.

What is planned once can be run elsewhere, or later, and is then the same or is refused. The file
holds no weights and no modules, only their names. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polyrank.collections.files import writing
from polyrank.composition.plan import BaseLike, Composition
from polyrank.errors import CompositionError, UsageError
from polyrank.modules.card import read_card
from polyrank.typed_fields import check_types
from polyrank.zoo.find import find

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Part:
    """A module of a composition, and the sha256 of each of its files."""

    role: str
    kind: str
    name: str
    files: Mapping[str, str]

    def __str__(self) -> str:
        return f"the {self.role} {self.kind} '{self.name}'"


@dataclass(frozen=True)
class SavedComposition:
    """A composition with what it takes to find its parts again, and to know that they are the same.

    Attributes:
        composition: the plan.
        base: what `load_base` takes: the base's name, Hub id or folder, as it was given.
        parts: its modules, each once.
    """

    composition: Composition
    base: str
    parts: tuple[Part, ...]

    def to_json(self) -> str:
        record = {
            "format_version": FORMAT_VERSION,
            "base": self.base,
            "composition": json.loads(self.composition.to_json()),
            "modules": [asdict(part) for part in self.parts],
        }
        return json.dumps(record, ensure_ascii=False, indent=2) + "\n"

    def write(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the file, aside and then renamed.

        Raises:
            UsageError: a file that is there and says something else, unless it may be overwritten.
        """
        path, text = Path(path), self.to_json()
        if path.is_file() and not overwrite and path.read_bytes() != text.encode():
            raise UsageError(
                f"{path} exists already and is another; name another file, or replace it with "
                "--overwrite"
            )
        with writing(path) as file:
            file.write(text)

    def check(self, base: BaseLike, zoo: str | Path | None = None) -> None:
        """Find every module again and compare; their files are read and verified.

        Raises:
            CompositionError: another base, or a module whose weights are others than then.
            ModuleError: a module that is missing or broken.
        """
        plan = self.composition
        if base.fingerprint != plan.fingerprint:
            raise CompositionError(
                f"the composition was made for base '{plan.base}' ({plan.fingerprint}), but this "
                f"base is '{base.name}' ({base.fingerprint}).\nName the base it was made for with "
                "--base, or compose again:  " + self.command()
            )
        for part in self.parts:
            now = _part(plan.base, part.role, part.kind, part.name, zoo)
            if now != part:
                raise CompositionError(
                    f"{part} is not the one that the composition was made with: "
                    f"{_difference(part.files, now.files)}.\nRestore that module, or compose again "
                    "with those at hand:  " + self.command()
                )

    def command(self) -> str:
        """The command that makes this composition of the modules at hand."""
        plan = self.composition
        options = {
            "--base": self.base,
            "--query-language": plan.query_language,
            "--document-language": plan.document_language,
            "--ranking": plan.ranking,
            "--routing": plan.routing,
            "--kind": plan.kind,
            "--ranking-kind": plan.ranking_kind if plan.ranking_kind != plan.kind else None,
        }
        given = [f"{option} {value}" for option, value in options.items() if value is not None]
        return " ".join(["polyrank compose", *given])


def saved(
    composition: Composition, base: str | None = None, zoo: str | Path | None = None
) -> SavedComposition:
    """A composition together with its modules' sha256s, ready to be written.

    Args:
        composition: from `compose`.
        base: what `load_base` takes, where it is not the base's name.
        zoo: the folder that was searched first.

    Raises:
        ModuleError: a module that is missing or broken.
    """
    plan = composition
    names = dict.fromkeys(name for side in plan.active().values() for name in side)
    parts = [_part(plan.base, "language", plan.kind, name, zoo) for name in names]
    if plan.ranking is not None:
        parts.append(_part(plan.base, "ranking", plan.ranking_kind, plan.ranking, zoo))
    return SavedComposition(plan, base or plan.base, tuple(parts))


def save_composition(
    composition: Composition,
    path: str | Path,
    base: str | None = None,
    zoo: str | Path | None = None,
    overwrite: bool = False,
) -> SavedComposition:
    """Write a composition to a file, from which `ComposedReranker` runs it; see `saved`.

    Raises:
        UsageError: a file that is there and says something else, unless it may be overwritten.
    """
    kept = saved(composition, base, zoo)
    kept.write(path, overwrite)
    return kept


def read_composition(path: str | Path) -> SavedComposition:
    """Read a file that `SavedComposition.write` wrote; `check` compares it with what is at hand.

    Raises:
        CompositionError: a file that is missing, unreadable, of another version, or none of ours.
    """
    try:
        record: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        version = record["format_version"]
        if version != FORMAT_VERSION:
            raise CompositionError(
                f"{path} has format version {version!r}; this polyrank reads {FORMAT_VERSION}.\n"
                "Upgrade polyrank (pip install -U polyrank), or compose again with this one."
            )
        plan = Composition.from_json(json.dumps(record["composition"]))
        parts = tuple(Part(**part) for part in record["modules"])
        check_types(record["base"], str, "base")
        for part in parts:
            check_types(part)
        if not all(part.files for part in parts):
            raise ValueError("a module without files")
        return SavedComposition(plan, record["base"], parts)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        raise CompositionError(
            f"{path} is not a composition: {reason}.\n"
            "Write one with:  polyrank compose --output FILE"
        ) from error


def _part(base: str, role: str, kind: str, name: str, zoo: str | Path | None) -> Part:
    files = read_card(find(base, role, kind, name, zoo)).files
    return Part(role, kind, name, dict(sorted(files.items())))


def _difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Which files differ."""
    lines = []
    for name in sorted({*then, *now}):
        before, after = then.get(name), now.get(name)
        if before != after:
            was, is_ = ((f"sha256 {s[:12]}…" if s else "missing") for s in (before, after))
            lines.append(f"{name} was {was} and is {is_}")
    return "; ".join(lines)
