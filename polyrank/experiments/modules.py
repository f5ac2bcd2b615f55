"""Which modules a system runs with: where they are, what is missing, and how large they are.

Needs no torch: cards and the headers of safetensors files say everything.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from polyrank.base import base_name, resolve_base
from polyrank.errors import ModuleError
from polyrank.experiments.specification import Specification, System, Task
from polyrank.languages import tags
from polyrank.late_interaction.checkpoints import is_checkpoint
from polyrank.modules.card import read_card, sha256, slug, train_command
from polyrank.modules.kinds import DEFAULT_KIND, KINDS, NO_RANKING
from polyrank.zoo.find import find, list_modules

Files = dict[str, str]  # of a module: file → sha256


@dataclass(frozen=True)
class Missing:
    """What a system needs and is not there.

    Attributes:
        what: in words.
        command: that makes or fetches it.
    """

    what: str
    command: str


_GET = {  # how to come by a standalone model
    "model": "polyrank distill --help shows how; or put a sequence classifier of one logit there",
    "llm": "hf download MODEL --local-dir FOLDER; or 'make llm-model' for a small one",
}


def missing_modules(system: System, tasks: Iterable[Task]) -> list[Missing]:
    """What a system lacks, in any of the pairs of languages."""
    if system.search in ("bm25", "run"):
        return []
    if system.is_standalone:
        assert system.model is not None
        if system.engine is not None:
            return []  # the server has it
        if (Path(system.model) / "config.json").is_file():
            return []
        command = system.train or _GET[str(system.rerank)]
        return [Missing(f"the model {system.model}", command)]
    try:
        resolve_base(system.base)
    except ModuleError as error:
        return [Missing(f"the base {system.base}", str(error).splitlines()[-1])]
    if system.search == "dense":
        return []
    found = {}
    try:
        _ranking_folders(system)
    except ModuleError:
        kind = _ranking_kind(system)
        what = f"the ranking {kind} {system.ranking} of {base_name(system.base)}"
        found[what] = Missing(what, system.train or _train(system, "ranking", kind))
    for task in tasks:
        for language in languages_used(system, task):
            if _language_module(system, language) is None and system.fallback == "error":
                kind = _language_kind(system)
                what = f"the language {kind} {language} of {base_name(system.base)}"
                found[what] = Missing(
                    what, system.train or _train(system, "language", kind, language)
                )
    return list(found.values())


def _train(system: System, role: str, kind: str, name: str | None = None) -> str:
    name = name or Path(system.ranking or "squad").name
    command = train_command(system.base, role, kind, name, late=system.is_late)
    return command.replace("ZOO", system.zoo) if system.zoo else command


def _ranking_kind(system: System) -> str:
    if system.is_late:
        return system.ranking_kind or DEFAULT_KIND
    return system.ranking_kind or system.rerank or DEFAULT_KIND


def _language_kind(system: System) -> str:
    if system.search == "modular":
        return system.language_kind or DEFAULT_KIND
    if system.is_late:
        return KINDS[_ranking_kind(system)].beneath
    return system.rerank or DEFAULT_KIND


def ranking_folder(system: System) -> Path:
    """The folder of the ranking module, or of a late-interaction checkpoint of another system.

    Raises:
        ModuleError: there is none.
    """
    name = system.ranking or ""
    if system.is_late and is_checkpoint(name):
        return Path(name)
    return find(base_name(system.base), "ranking", _ranking_kind(system), name, system.zoo)


def _ranking_folders(system: System) -> list[Path]:
    """That of the ranking module; none of a modular search, or over the base alone."""
    untrained = system.is_late and system.ranking == NO_RANKING
    return [] if untrained or system.search == "modular" else [ranking_folder(system)]


def languages_used(system: System, task: Task) -> list[str]:
    """The languages whose modules act in a pair."""
    routing = "split" if system.search == "modular" else system.routing
    if system.is_late and _is_xmod(system):
        return []  # they are inside its checkpoint
    kind = KINDS[_ranking_kind(system)] if system.is_late else None
    if kind is not None and (routing is None or kind.acts == "model"):
        full = kind.acts == "model"
        try:
            cards = [read_card(folder, verify=False) for folder in _ranking_folders(system)]
            modular = any(card.parent is not None for card in cards)
        except ModuleError:
            modular = not full
        if full and not modular and routing is None:
            return []  # shared weights
        routing = routing or (kind.late_routing if modular else "none")
    query, document = system.spoken(task)
    pair = {
        "query": (query,),
        "document": (document,),
        "split": (query, document),
        "both": (query, document),
    }.get(routing or "none", ())
    return list(dict.fromkeys(pair))


def _is_xmod(system: System) -> bool:
    """Whether a late-interaction model runs the language modules of an XMOD; False where neither
    the model nor its base is here to look at."""
    places = []
    with suppress(ModuleError):
        places += _ranking_folders(system)
    with suppress(ModuleError):
        places.append(Path(resolve_base(system.base)))
    configs = (place / "config.json" for place in places)
    there = (json.loads(c.read_text(encoding="utf-8")) for c in configs if c.is_file())
    return any(config.get("model_type") == "xmod" for config in there)


def _language_module(system: System, language: str) -> Path | None:
    """The folder of a language's module, or of what the fallback takes."""
    there = _by_language(base_name(system.base), _language_kind(system), system.zoo)
    if language in there:
        return there[language]
    if system.fallback == "related":
        return next((there[tag] for tag in tags.related(language) if tag in there), None)
    return None


@lru_cache(maxsize=64)
def _by_language(base: str, kind: str, zoo: str | None) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for entry in list_modules(slug(base), "language", kind, zoo=zoo):
        if entry.card.name == entry.card.language or entry.card.language not in found:
            found[entry.card.language] = entry.path
    return found


def forget() -> None:
    """Look at the zoo anew, after something was trained."""
    _by_language.cache_clear()


def folders(system: System, task: Task) -> list[Path]:
    """The folders of all modules that act in a pair, each once.

    Raises:
        ModuleError: the ranking module is missing.
    """
    if system.search in ("bm25", "run", "dense"):
        return []
    if system.is_standalone:
        return [] if system.engine else [Path(system.model or "")]
    there = [_language_module(system, language) for language in languages_used(system, task)]
    return [*_ranking_folders(system), *dict.fromkeys(path for path in there if path)]


def fingerprints(system: System, task: Task) -> dict[str, Files]:
    """Module → file → sha256, of all modules that act in a pair; what a score depends on."""
    return {_label(path): _files(path) for path in folders(system, task)}


def _label(path: Path) -> str:
    """The last parts of a folder's name, without the path of this machine."""
    return "/".join(path.parts[-4:]) if (path / "polyrank.json").is_file() else path.name


@lru_cache(maxsize=512)
def _files(folder: Path) -> Files:
    if (folder / "polyrank.json").is_file():
        return dict(sorted(read_card(folder, verify=False).files.items()))
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): sha256(path) for path in files}


@lru_cache(maxsize=512)
def values_in(folder: Path) -> int:
    """How many weights a module's safetensors files hold; the places of a mask do not count."""
    count = 0
    for path in sorted(folder.rglob("*.safetensors")):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        count += sum(
            math.prod(entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__" and not name.endswith((".steps", ".indices"))
        )
    return count


def gaps(specification: Specification) -> dict[str, list[Missing]]:
    """System → what it lacks, of those that lack something.

    A system over one that lacks something lacks that too.
    """
    forget()
    found: dict[str, list[Missing]] = {}
    tasks = [*specification.tasks(), *specification.development_tasks()]
    for system in specification.systems:
        lacking = missing_modules(system, [t for t in tasks if specification.measured(system, t)])
        lacking += [m for m in found.get(system.over or "", []) if m not in lacking]
        if lacking:
            found[system.name] = lacking
    return found
