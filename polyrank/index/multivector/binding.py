"""What the vectors of an index depend on: an index refuses a model that differs in any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from polyrank.errors import CompositionError


@dataclass(frozen=True)
class Module:
    """A language module: its name, and the hash of its weights (None: they are the encoder's)."""

    name: str
    sha256: str | None

    def __str__(self) -> str:
        return f"'{self.name}' ({self.sha256[:12]}…)" if self.sha256 else f"'{self.name}'"


@dataclass(frozen=True)
class Binding:
    """The parts of a late-interaction model, less its language modules.

    Attributes:
        base, ranking, kind, fallback: names, by which the model is loaded again; `kind` is that of
            the ranking module.
        base_weights, base_vocabulary: the base's fingerprint.
        ranking_files: sha256 of each file of the ranking module.
        projection: hash of the projection's weights, bias and marker embeddings.
        precision: that documents are encoded in; a search or an addition may use another.
        rules: markers, lengths, augmentation, skip-list and width, as in `TokenRules`.
        routing: which language module a text passes through: 'split' that of its own language,
            'document' that of the documents' language, queries too, 'none' none.
        language_kind: of the language modules; older indexes, which do not say, have adapters.
    """

    base: str
    base_weights: str
    base_vocabulary: str
    ranking: str
    kind: str
    projection: str
    routing: str
    fallback: str = "error"
    language_kind: str = "adapter"
    ranking_files: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "fp32"

    @property
    def dim(self) -> int:
        return int(self.rules["dim"])

    def differences(self, now: Binding) -> list[str]:
        """A line for each thing that is not as it was; names may differ, contents may not."""
        pairs = [
            ("weights of the base", self.base_weights, now.base_weights),
            ("vocabulary of the base", self.base_vocabulary, now.base_vocabulary),
            ("projection", self.projection, now.projection),
            ("kind", self.kind, now.kind),
            ("routing", self.routing, now.routing),
            ("kind of the language modules", self.language_kind, now.language_kind),
            *_each("ranking module's", self.ranking_files, now.ranking_files),
            *_each("rule", self.rules, now.rules),
        ]
        return [f"{what} was {_short(a)} and is now {_short(b)}" for what, a, b in pairs if a != b]


def binding_from(record: Mapping[str, Any]) -> Binding:
    """A binding out of JSON."""
    known = {entry.name for entry in fields(Binding)}
    return Binding(**{name: value for name, value in record.items() if name in known})


def binding_record(binding: Binding) -> dict[str, Any]:
    """A binding for JSON, and for comparing with one that was read."""
    return asdict(binding)


def check_binding(
    place: str,
    then: Binding,
    now: Binding,
    modules_then: Mapping[str, Module | None],
    modules_now: Mapping[str, Module | None | str],
) -> None:
    """Refuse a model that is not the one an index was built with.

    Args:
        place: of the index, for the message.
        modules_then, modules_now: per language of the index, the module of its documents; in place
            of one that is unavailable, the reason.

    Raises:
        CompositionError: naming all that differs.
    """
    changed = then.differences(now)
    stale = [
        language for language, module in modules_then.items() if modules_now.get(language) != module
    ]
    changed += [
        f"language module of '{language}' was {modules_then[language] or 'none'} and is now "
        f"{modules_now.get(language) or 'none'}"
        for language in stale
    ]
    if not changed:
        return
    listed = "\n".join(f"  - {line}" for line in changed)
    advice = "Use the same parts as before, or rebuild the index."
    if len(stale) == len(changed):
        advice = (
            "Use the same modules as before, or replace those documents:  "
            f"polyrank index delete {place} --languages {','.join(sorted(stale))}  and then add."
        )
    raise CompositionError(
        f"the index '{place}' was built with another model than this one:\n{listed}\n{advice}"
    )


def _each(what: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(f"{what} {name}", a.get(name), b.get(name)) for name in sorted({*a, *b})]


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) >= 16 and text.isalnum() else repr(value)
