"""The plan of a reranker: which module acts where. It prints itself and refuses what does not fit.

The compositions are those of ModularCLIR (Litschko et al. 2022, arXiv 2204.02292). Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol

from polyrank.base import Fingerprint
from polyrank.composition.routing import ROUTINGS, check_routing
from polyrank.errors import CompositionError, LanguageError, ModuleError, UsageError
from polyrank.languages import tags
from polyrank.modules.card import (
    ModuleCard,
    read_card,
    slug,
    train_command,
    train_command_of,
)
from polyrank.notes import Note
from polyrank.typed_fields import check_types
from polyrank.zoo.find import find, list_modules

FALLBACKS = ("error", "related", "none")


class BaseLike(Protocol):
    """What a composition needs of a base; `polyrank.base.Base` has it."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> Fingerprint: ...


@dataclass(frozen=True)
class Composition:
    """Base + language modules + ranking module + routing, as a value: hashable and printable.

    Attributes:
        base, fingerprint: the base all modules were made for.
        query_language, document_language: normalised tags, or None where nobody said.
        query_module, document_module: names of the language modules, or None for none. One that the
            routing does not use is None.
        ranking: the ranking module's name, or None.
        routing: which tokens see which language module.
        kind: of the language modules.
        notes: what was assumed, e.g. a fallback; each is one sentence.
        ranking_kind: of the ranking module; by default as `kind`.
    """

    base: str
    fingerprint: Fingerprint
    query_language: str | None
    document_language: str | None
    query_module: str | None
    document_module: str | None
    ranking: str | None
    routing: str
    kind: str
    notes: tuple[Note, ...] = ()
    ranking_kind: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranking_kind", self.ranking_kind or self.kind)

    @property
    def assumed(self) -> tuple[Note, ...]:
        """What is worth telling of it: all notes but zero-shot transfer, which it is made for."""
        return tuple(note for note in self.notes if note.kind != "transfer")

    def active(self) -> dict[str, tuple[str, ...]]:
        """The language modules that the tokens of each side see."""
        query = (self.query_module,) if self.query_module else ()
        document = (self.document_module,) if self.document_module else ()
        both = tuple(dict.fromkeys(query + document))  # each once when the languages are the same
        sides = {
            "none": ((), ()),
            "query": (query, query),
            "document": (document, document),
            "split": (query, document),
            "both": (both, both),
        }[self.routing]
        return {"query": sides[0], "document": sides[1]}

    def __str__(self) -> str:
        rows = [("tokens", "language", "language module", "ranking module")]
        tags = {"query": self.query_language, "document": self.document_language}
        for side, modules in self.active().items():
            names = " + ".join(modules) or "–"
            rows.append((side, tags[side] or "–", names, self.ranking or "–"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        kinds = f"{self.kind}s"
        if self.ranking_kind != self.kind:
            kinds = f"language {self.kind}s, ranking {self.ranking_kind}"
        lines = [f"base {self.base} ({self.fingerprint}), {kinds}, routing {self.routing}"]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  " + "  ".join(cells).rstrip())
        return "\n".join(lines + [f"note: {note}" for note in self.notes])

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Composition:
        """Read what `to_json` wrote.

        Raises:
            CompositionError: anything else.
        """
        try:
            record = json.loads(text)
            record["fingerprint"] = Fingerprint(**record["fingerprint"])
            record["notes"] = tuple(map(Note.read, record["notes"]))
            unknown = set(record) - {field.name for field in fields(cls)}
            if unknown or record["routing"] not in ROUTINGS:
                raise ValueError(f"unknown {', '.join(unknown) or record['routing']}")
            found = cls(**record)
            check_types(found)
            return found
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CompositionError(
                f"this is not a composition ({error}).\nWrite one with Composition.to_json()."
            ) from error


def compose(
    base: BaseLike,
    ranking: str | None,
    query_language: str | None = None,
    document_language: str | None = None,
    routing: str = "document",
    kind: str = "adapter",
    fallback: str = "error",
    zoo: str | Path | None = None,
    ranking_kind: str | None = None,
) -> Composition:
    """Plan a reranker for a pair of languages.

    Args:
        base: a loaded base.
        ranking: name or folder of the ranking module; None for language modules alone.
        query_language: tag; needed by the routings `query`, `split` and `both`.
        document_language: tag; needed by `document`, `split` and `both`.
        routing: `none`, `query`, `document`, `split` (language adapters only) or `both` (language
            masks only); see `polyrank.composition.routing`.
        kind: of the modules: `adapter`, `mask` or `full`; a `full` ranking module takes no language
            modules.
        fallback: for a language without module: `error`, `related` (the nearest relative that has
            one), or `none` (no language module on that side).
        zoo: a folder to search before `$POLYRANK_ZOO` and the bundled zoo.
        ranking_kind: of the ranking module, where it is another than `kind`: language masks may
            lie under a ranking adapter, language adapters over a ranking mask.

    Raises:
        CompositionError: a routing these modules do not allow, or a ranking module whose parent is
            no longer the one it was trained over.
        LanguageError: a needed language that is missing, unknown, or has no module.
        ModuleError: a module that is missing, broken, or made for another base.
        UsageError: an unknown routing or fallback.
    """
    ranking_kind = ranking_kind or kind
    _check_options(routing, kind, ranking_kind, fallback)
    query = tags.normalise(query_language) if query_language else None
    document = tags.normalise(document_language) if document_language else None
    notes: list[Note] = []
    card = _ranking_card(base, ranking, ranking_kind, zoo, notes)
    chosen: dict[str, ModuleCard | None] = {"query": None, "document": None}
    for side, language in (("query", query), ("document", document)):
        if routing in (side, "split", "both"):
            chosen[side] = _language_card(base, side, language, routing, kind, fallback, zoo, notes)
    if card is not None:
        notes += _check_parent(card, routing, chosen)
    return Composition(
        base=base.name,
        fingerprint=base.fingerprint,
        query_language=query,
        document_language=document,
        query_module=chosen["query"].name if chosen["query"] else None,
        document_module=chosen["document"].name if chosen["document"] else None,
        ranking=ranking,
        routing=routing,
        kind=kind,
        notes=tuple(dict.fromkeys(notes)),
        ranking_kind=ranking_kind,
    )


def _check_options(routing: str, kind: str, ranking_kind: str, fallback: str) -> None:
    if fallback not in FALLBACKS:
        raise UsageError(f"unknown fallback '{fallback}'.\nUse one of {', '.join(FALLBACKS)}.")
    check_routing(kind, routing, ranking_kind)


def _ranking_card(
    base: BaseLike, ranking: str | None, kind: str, zoo: str | Path | None, notes: list[Note]
) -> ModuleCard | None:
    if ranking is None:
        return None
    card = read_card(find(base.name, "ranking", kind, ranking, zoo))
    notes += _check_card(card, base, "ranking", kind)
    return card


def _check_card(card: ModuleCard, base: BaseLike, role: str, kind: str) -> list[Note]:
    """Refuse a module for another base; a note where nobody recorded which weights it is for."""
    if (card.role, card.kind) != (role, kind):
        raise ModuleError(
            f"'{card.full_name}' is a {card.role} {card.kind}, but a {role} {kind} is asked for.\n"
            f"Give another module, or the kind '{card.kind}'."
        )
    if not card.verified and slug(card.base) == slug(base.name):
        return [
            Note(
                "unverified",
                f"unverified: the {role} module '{card.name}' was imported as one for "
                f"'{card.base}'; on which weights it was trained is not recorded.",
            )
        ]
    if card.base_fingerprint != base.fingerprint:
        raise ModuleError(
            f"the {kind} '{card.role}/{card.kind}/{card.name}' was made for base '{card.base}' "
            f"({card.base_fingerprint}), but this base is '{base.name}' ({base.fingerprint}).\n"
            f"Train one with:  {train_command_of(card, base.name)}"
        )
    return []


def _language_card(
    base: BaseLike,
    side: str,
    language: str | None,
    routing: str,
    kind: str,
    fallback: str,
    zoo: str | Path | None,
    notes: list[Note],
) -> ModuleCard | None:
    """The card of one side's language module; what had to be assumed is added to `notes`."""
    if language is None and fallback != "error":
        notes.append(
            Note(
                "unidentified",
                f"no language is known for the {side}: no language module on that side.",
            )
        )
        return None
    if language is None:
        raise LanguageError(
            f"routing '{routing}' needs the {side}'s language.\nGive {side}_language, e.g. 'ky', "
            "or fallback='none' ('--fallback none') to do without a language module on that side."
        )
    found = _by_language(base.name, kind, zoo)
    if language not in found and (whole := _without_subtags(language, found)) is not None:
        notes.append(
            Note(
                "fallback",
                f"there is no language {kind} for '{language}' alone: the {side} side uses that of "
                f"'{whole}'.",
            )
        )
        language = whole
    nearest = next((tag for tag in tags.related(language) if tag in found), None)
    if language in found:
        name = found[language]
    elif fallback == "none":
        notes.append(
            Note(
                "fallback",
                f"there is no language {kind} for '{language}': none on the {side} side.",
            )
        )
        return None
    elif fallback == "related" and nearest:
        name = found[nearest]
        notes.append(
            Note(
                "fallback",
                f"there is no language {kind} for '{language}': the {side} side uses its nearest "
                f"relative '{nearest}'.",
            )
        )
    else:
        raise LanguageError(_no_module(base, language, kind, nearest, sorted(found)))
    card = read_card(find(base.name, "language", kind, name, zoo))
    notes += _check_card(card, base, "language", kind)
    return card


def _without_subtags(language: str, found: Mapping[str, str]) -> str | None:
    """The tag without its region, or without its script too, that has a module."""
    parts = language.split("-")
    shorter = ("-".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((tag for tag in shorter if tag in found), None)


def without_module(
    base: str, languages: Iterable[str], kind: str = "adapter", zoo: str | Path | None = None
) -> list[str]:
    """Those languages that have no module for a base, as fallback 'error' would refuse them.

    Args:
        base: its name.
        languages: their tags.
    """
    found = _by_language(base, kind, zoo)
    wanted = dict.fromkeys(map(tags.normalise, languages))
    return [one for one in wanted if one not in found and _without_subtags(one, found) is None]


def _by_language(base: str, kind: str, zoo: str | Path | None) -> dict[str, str]:
    """Language → name of its module; of several, the one that is called as the language."""
    found: dict[str, str] = {}
    for entry in list_modules(base=base, role="language", kind=kind, zoo=zoo):
        language, name = entry.card.language, entry.card.name
        if name == language or language not in found:
            found[language] = name
    return found


def _no_module(
    base: BaseLike, language: str, kind: str, nearest: str | None, available: list[str]
) -> str:
    nearest_first = (
        f"The nearest with one is '{nearest}'; '--fallback related' uses it.\n" if nearest else ""
    )
    return (
        f"there is no language {kind} for '{language}' on the base '{base.name}'. "
        f"Available: {', '.join(available) or 'none'}.\n{nearest_first}"
        "'--fallback none' goes without (in Python fallback='related', 'none'). Train one with:  "
        f"{_training(base, kind, language)}"
    )


def _training(base: BaseLike, kind: str, language: str) -> str:
    """The command that trains a language module for this base."""
    card = getattr(base, "card", None)
    return train_command(
        base.name, "language", kind, language, vectors=card.vectors if card else None
    )


def _check_parent(
    card: ModuleCard, routing: str, chosen: dict[str, ModuleCard | None]
) -> list[Note]:
    """Refuse a parent that was exchanged; note every other departure from how it was trained.

    A ranking module is trained over a language module of its own kind; over one of another kind it
    runs with a note, as over one of another language.
    """
    used = [module for module in chosen.values() if module is not None]
    if card.parent is None:
        if used:
            return [
                Note(
                    "composition",
                    f"the ranking module '{card.name}' was trained without a language module.",
                )
            ]
        return []
    parent, notes = card.parent, list[Note]()
    if not used:
        notes.append(
            Note(
                "composition",
                f"the ranking module '{card.name}' was trained over the language module "
                f"'{parent.name}', but runs over none.",
            )
        )
    for module in used:
        if module.language != parent.language:
            notes.append(
                Note(
                    "transfer",
                    f"zero-shot: the ranking module '{card.name}' was trained over "
                    f"'{parent.name}' and runs over '{module.name}'.",
                )
            )
        elif module.kind == card.kind and parent.sha256 not in module.files.values():
            raise CompositionError(
                f"the ranking module '{card.name}' was trained over the language module "
                f"'{parent.name}' with weights {parent.sha256[:12]}…, but '{module.full_name}' has "
                "other weights.\nRestore that module, or train the ranking module again:  "
                f"{train_command_of(card)}"
            )
    foreign = [m for m in used if m.kind != card.kind and parent.sha256 not in m.files.values()]
    if foreign:
        notes.append(
            Note(
                "composition",
                f"the ranking module '{card.name}' was trained over language {card.kind}s and "
                f"runs over language {foreign[0].kind}s.",
            )
        )
    return notes
