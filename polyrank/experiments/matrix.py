"""Systems as a matrix: an entry whose values are lists stands for every combination of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from polyrank.composition.plan import FALLBACKS
from polyrank.composition.routing import (
    ROUTINGS,
    check_late_routing,
    check_routing,
    usual_routing,
)
from polyrank.encoders.precision import AUTO, FP32, PRECISIONS
from polyrank.errors import CompositionError, UsageError
from polyrank.experiments.specification import (
    CHOSEN,
    NORMALISATIONS,
    RERANKS,
    SEARCHES,
    Interpolation,
    System,
    filled,
)
from polyrank.experiments.yaml_lines import Fields, Node, each, text_of
from polyrank.modules.kinds import DEFAULT_KIND, KINDS, language_kinds
from polyrank.rerankers.llm.scorers import SCORERS
from polyrank.translation.presets import PRESETS, TRANSLATING

ANALYSES = ("words", "stems", "subwords")

_MODULES = (
    "base",
    "ranking",
    "ranking_kind",
    "routing",
    "fallback",
    "zoo",
    "max_length",
    "precision",
)
_WHOLE = ("base", "ranking", "zoo", "max_length", "precision")  # takes no language modules
_LLM = ("scorer", "prompt", "window", "step", "engine")
_STAGE = ("over", "depth", "interpolate", "keep_rest")
_ROW = ("optional", "train", "only")
_TRANSLATION = ("translate", "translator")
_OF_SEARCH = {
    "bm25": ("analysis", "base"),
    "dense": ("base", "max_length"),
    "modular": ("base", "language_kind", "fallback", "zoo", "max_length"),
    "late": (*_MODULES, "query_length"),
    "run": ("run",),
}
_OF_RERANK = {
    **{name: _WHOLE if kind.acts == "model" else _MODULES for name, kind in KINDS.items()},
    "late": (*_MODULES, "query_length"),
    "model": ("model", "max_length", "precision"),
    "llm": ("model", *_LLM, "precision"),
}
_SEARCH = ("language_kind", "query_length", "analysis", "run", "model", *_LLM)
KNOWN = ("search", "rerank", *_MODULES, *_SEARCH, *_STAGE, *_TRANSLATION, *_ROW)
DEFAULTS = tuple(key for key in KNOWN if key not in ("search", "rerank", *_ROW, "run", "model"))
# What may be a list, and then is a dimension of the matrix.
DIMENSIONS = (
    "search", "rerank", *_MODULES, "language_kind", "analysis", "model", "scorer", "prompt",
    "window", "over", "depth", "weight", *_TRANSLATION,
)  # fmt: skip


def systems_of(name: str, node: Node, defaults: Mapping[str, Node]) -> list[System]:
    """The systems of one entry, each with its name filled in.

    Raises:
        DataError: an unknown key, a wrong type, an impossible composition, or a name that does not
            tell the combinations apart.
    """
    given = Fields(node, f"the system {name!r}", KNOWN).values
    if ("search" in given) == ("rerank" in given):
        node.wrong(f"the system {name!r} needs one of 'search' and 'rerank'")
    dimensions = {
        key: each(given[key]) for key in DIMENSIONS if isinstance(_listed(given, key), list)
    }
    weights = _weights(given.get("interpolate"))
    if len(weights) > 1:
        dimensions["weight"] = weights
    found = []
    for choice in itertools.product(*dimensions.values()):
        picked = dict(zip(dimensions, choice, strict=True))
        shown = {key: str(one.value) for key, one in picked.items()}
        system = _system(filled(name, shown), node, {**given, **picked}, defaults)
        if left := re.search(r"\{(\w+)\}", system.name):
            node.wrong(f"the name {name!r} has {left[0]}, but {left[1]!r} is not a list here")
        found.append(replace(system, family=name))
    if len({system.name for system in found}) < len(found):
        wanted = " and ".join("{" + key + "}" for key in dimensions)
        node.wrong(f"the name {name!r} is that of {len(found)} systems; put {wanted} into it")
    return found


def _listed(given: Mapping[str, Node], key: str) -> Any:
    return given[key].value if key in given else None


def _weights(node: Node | None) -> list[Node]:
    if node is None or not isinstance(node.value, dict) or "weight" not in node.value:
        return []
    return each(node.value["weight"])


def _system(
    name: str, node: Node, given: Mapping[str, Node], defaults: Mapping[str, Node]
) -> System:
    """One system of single values."""
    weight = given.get("weight")
    own = Node({k: v for k, v in given.items() if k != "weight"}, node.line, node.path)
    stage = "search" if "search" in given else "rerank"
    choices = SEARCHES if stage == "search" else RERANKS
    kind = Fields(own, f"the system {name!r}", KNOWN).choice(stage, choices)
    assert kind is not None
    table = _OF_SEARCH if stage == "search" else _OF_RERANK
    allowed = {stage, *table[kind], *_ROW, *_TRANSLATION, *(_STAGE if stage == "rerank" else ())}
    for key, value in own.value.items():
        if key not in allowed:
            value.wrong(f"{stage}: {kind} takes no {key!r}; it takes: {', '.join(sorted(allowed))}")
    fields = Fields(own, f"the system {name!r}", allowed, defaults)
    values: dict[str, Any] = {stage: kind}
    for key in (
        "base",
        "ranking",
        "zoo",
        "over",
        "train",
        "model",
        "run",
        "prompt",
        "engine",
        "translator",
    ):
        values[key] = fields.text(key)
    values["base"] = values["base"] or System.base
    for key in ("max_length", "query_length", "depth", "window", "step"):
        values[key] = fields.integer(key, getattr(System, key))
    values["precision"] = fields.choice("precision", (*PRECISIONS, AUTO), FP32.name)
    values["analysis"] = fields.choice("analysis", ANALYSES, "stems")
    values["translate"] = fields.choice("translate", PRESETS, System.translate)
    values["fallback"] = fields.choice("fallback", FALLBACKS, "error")
    values["routing"] = fields.choice("routing", ROUTINGS)
    values["ranking_kind"] = fields.choice("ranking_kind", tuple(KINDS))
    values["language_kind"] = fields.choice("language_kind", language_kinds())
    if kind == "modular":
        values["language_kind"] = values["language_kind"] or DEFAULT_KIND
    if kind == "llm":
        values["scorer"] = fields.choice("scorer", tuple(SCORERS), "label")
    values["optional"] = fields.flag("optional")
    values["keep_rest"] = fields.flag("keep_rest")
    values["only"] = fields.texts("only")
    if "interpolate" in fields:
        values["interpolate"] = _interpolation(fields.values["interpolate"], weight)
    _complete(kind, stage, fields, values)
    return System(name, line=node.line, **values)


def _complete(kind: str, stage: str, fields: Fields, values: dict[str, Any]) -> None:
    """Fill in what follows from the kind, and refuse what cannot be."""
    for key in {"run": ("run",), "model": ("model",), "llm": ("model",)}.get(kind, ()):
        fields.node_of(key)
    if stage == "rerank":
        fields.node_of("over")
    late = kind == "late"
    if late or kind in KINDS:
        values["ranking"] = values["ranking"] or ("squad-li" if late else "squad")
    if values["translate"] in TRANSLATING and values["translator"] is None:
        fields.values[stage].wrong(f"the translation {values['translate']!r} needs a 'translator'")
    if values["translate"] not in TRANSLATING:
        values["translator"] = None  # a list of presets shares one translator
    where = fields.values.get("routing", fields.values[stage])
    try:
        if late and values["routing"] is not None:
            indexed = stage == "search"
            check_late_routing(values["ranking_kind"] or DEFAULT_KIND, values["routing"], indexed)
        if stage == "rerank" and kind in KINDS:
            ranking_kind = values["ranking_kind"]
            values["routing"] = values["routing"] or usual_routing(kind, ranking_kind)
            check_routing(kind, values["routing"], ranking_kind)
    except (CompositionError, UsageError) as error:
        where.wrong(str(error))


def _interpolation(node: Node, weight: Node | None) -> Interpolation:
    """A weight alone, or weight and normalise."""
    if not isinstance(node.value, dict):
        return Interpolation(_weight(node))
    fields = Fields(node, "'interpolate'", ("weight", "normalise"))
    normalise = fields.choice("normalise", NORMALISATIONS, "min-max")
    return Interpolation(_weight(weight or fields.node_of("weight")), str(normalise))


def _weight(node: Node) -> float | str:
    value = node.value
    if isinstance(value, str) and text_of(node, "weight") == CHOSEN:
        return CHOSEN
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        node.wrong(f"a weight is a number from 0 to 1, or {CHOSEN!r}, not {value!r}")
    return float(value)
