"""Read an experiment's file strictly: what is unknown or cannot be is an error with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from polyrank.collections.catalogue import is_parallel
from polyrank.collections.dates import iso_date
from polyrank.errors import UsageError
from polyrank.experiments.matrix import DEFAULTS, systems_of
from polyrank.experiments.specification import (
    CHOSEN,
    Collection,
    Comparison,
    Group,
    Specification,
    System,
    Task,
)
from polyrank.experiments.yaml_lines import (
    Fields,
    Node,
    check_names,
    each,
    language_of,
    read_yaml,
    text_of,
)
from polyrank.languages.tags import normalise

_TOP = ("title", "about", "seed", "measures", "cut", "search_depth", "defaults", "collections")
TOP = (*_TOP, "development", "groups", "systems", "compare", "heat_maps")
_COLLECTION = ("source", "pairs", "queries", "parallel", "spelling", "split", "licence", "get")
_SIDES = ("languages", "without", "queries", "documents")
_DATES = ("queries_after", "queries_until")
_GROUP = ("collections", *_SIDES, *_DATES)


def read_specification(path: str | Path) -> Specification:
    """Read an experiment's file.

    Raises:
        DataError: with file and line: no YAML, an unknown or missing key, a wrong type, an unknown
            language or measure, an impossible composition, or a name that stands for nothing.
    """
    root = read_yaml(path)
    fields = Fields(root, "an experiment", TOP)
    collections = tuple(_collection(name, node) for name, node in _entries(fields, "collections"))
    defaults = (
        Fields(fields.values["defaults"], "'defaults'", DEFAULTS).values
        if ("defaults" in fields)
        else {}
    )
    systems = [
        system
        for name, node in _entries(fields, "systems")
        for system in systems_of(name, node, defaults)
    ]
    groups = _groups(fields, collections)
    _check_systems(root, systems, groups)
    specification = Specification(
        path=Path(path),
        title=fields.required("title"),
        about=fields.text("about") or "",
        seed=fields.integer("seed", 13, least=0) or 0,
        measures=_measures(fields),
        cut=fields.integer("cut"),
        search_depth=fields.integer("search_depth", 100) or 100,
        collections=collections,
        development=_development(fields, collections),
        groups=groups,
        systems=tuple(systems),
        comparisons=_comparisons(fields, systems, groups),
        heat_maps=_known(fields, "heat_maps", [s.name for s in systems]) or (),
    )
    _check_depths(specification, root)
    _check_chosen(specification, root)
    return specification


def _entries(fields: Fields, key: str) -> list[tuple[str, Node]]:
    """The named parts of a mapping that must hold some."""
    node = fields.node_of(key)
    if not isinstance(node.value, dict) or not node.value:
        node.wrong(f"{key!r} is a mapping from names to what they stand for")
    return list(node.value.items())


# ------------------------------------------------------------------------------- collections


def _collection(name: str, node: Node) -> Collection:
    fields = Fields(node, f"the collection {name!r}", _COLLECTION)
    source = fields.required("source")
    return Collection(
        name=name,
        source=source,
        pairs=_pairs(fields.node_of("pairs")),
        queries=fields.integer("queries"),
        parallel=fields.flag("parallel", default=is_parallel(source)),
        spelling=_spelling(fields),
        split=fields.text("split"),
        licence=fields.text("licence") or "",
        get=fields.text("get") or "",
        line=node.line,
    )


def _pairs(node: Node) -> tuple[tuple[str, str], ...]:
    """A list of [queries, documents], or the product of two lists."""
    if isinstance(node.value, dict):
        fields = Fields(node, "'pairs'", ("queries", "documents", "same"))
        queries = _languages(fields.node_of("queries"))
        documents = _languages(fields.node_of("documents"))
        same = fields.choice("same", ("yes", "no", "only"), "yes")
        wanted = {"yes": (True, False), "no": (False,), "only": (True,)}[str(same)]
        pairs = [(q, d) for q in queries for d in documents if (q == d) in wanted]
    else:
        pairs = []
        for one in each(node):
            if not isinstance(one.value, list) or len(one.value) != 2:
                one.wrong("a pair is [query language, document language]")
            q, d = _languages(one)
            pairs.append((q, d))
    if not pairs:
        node.wrong("no pair of languages is left")
    if len(set(pairs)) < len(pairs):
        node.wrong("a pair of languages stands there twice")
    return tuple(pairs)


def _languages(node: Node) -> tuple[str, ...]:
    return tuple(_language(one) for one in each(node))


def _language(node: Node) -> str:
    return language_of(node, "a language")


def _spelling(fields: Fields) -> tuple[tuple[str, str], ...]:
    if "spelling" not in fields:
        return ()
    node = fields.values["spelling"]
    if not isinstance(node.value, dict):
        node.wrong("'spelling' is a mapping from a language to how the source spells it")
    for key in node.value:
        _language(Node(key, node.value[key].line, node.path))
    return tuple((normalise(key), text_of(one, key)) for key, one in node.value.items())


def _development(fields: Fields, tests: tuple[Collection, ...]) -> Collection | None:
    """The collection that weights are chosen on, which must be none of those tested."""
    if "development" not in fields:
        return None
    node = fields.values["development"]
    found = replace(_collection("development", node), name="development")
    for test in tests:
        shared = {found.source_of(*p) for p in found.pairs} & {
            test.source_of(*p) for p in test.pairs
        }
        if shared and found.split == test.split:
            node.wrong(
                f"{min(shared)!r} is tested as {test.name!r}, so nothing may be chosen on it; "
                "name another collection or split"
            )
    return found


# --------------------------------------------------------------------------- groups, measures


def _groups(fields: Fields, collections: tuple[Collection, ...]) -> tuple[Group, ...]:
    if "groups" not in fields:
        return tuple(Group(c.name, (c.name,)) for c in collections)
    names = [c.name for c in collections]
    found = []
    for name, node in _entries(fields, "groups"):
        own = Fields(node, f"the group {name!r}", _GROUP)
        sides = {key: _languages(own.values[key]) if key in own else None for key in _SIDES}
        without = sides.pop("without") or ()
        dates = {key: _date(own.values[key]) for key in _DATES if key in own}
        chosen = _known(own, "collections", names) or tuple(names)
        group = Group(
            name, chosen, without=without, queries_after=dates.get("queries_after"),
            queries_until=dates.get("queries_until"), **sides,
        )  # fmt: skip
        if not any(task in group for c in collections for task in _tasks(c)):
            node.wrong(f"no pair of languages is in the group {name!r}")
        found.append(group)
    return tuple(found)


def _date(node: Node) -> str:
    try:
        return iso_date(str(node.value))
    except ValueError:
        node.wrong(f"{node.value!r} is not a date; write YYYY-MM-DD")


def _tasks(collection: Collection) -> list[Task]:
    return [Task(collection, *pair) for pair in collection.pairs]


def _measures(fields: Fields) -> tuple[str, ...]:
    from polyrank.evaluation.measures import parse_measure

    if "measures" not in fields:
        return ("nDCG@10", "AP", "RR")
    found = []
    for node in each(fields.values["measures"]):
        try:
            found.append(str(parse_measure(text_of(node, "a measure"))))
        except UsageError as error:
            node.wrong(str(error))
    return tuple(dict.fromkeys(found))


def _known(fields: Fields, key: str, names: list[str]) -> tuple[str, ...] | None:
    """Names that must be among those given."""
    if key not in fields:
        return None
    found = []
    for node in each(fields.values[key]):
        name = text_of(node, key)
        if name not in names:
            node.wrong(f"unknown name {name!r}; known are: {', '.join(names)}")
        found.append(name)
    return tuple(found)


# ----------------------------------------------------------------------- systems, comparisons


def _check_systems(root: Node, systems: list[System], groups: tuple[Group, ...]) -> None:
    """Refuse names that stand twice or are too alike for files, and unknown first stages."""
    places = [Node(None, system.line, root.path) for system in systems]
    names = [system.name for system in systems]
    check_names(zip(names, places, strict=True))
    for number, (system, where) in enumerate(zip(systems, places, strict=True)):
        above = names[:number]
        if system.over is not None and system.over not in above:
            where.wrong(
                f"{system.name!r} is over {system.over!r}, which is not a system above it; "
                f"those are: {', '.join(above) or 'none'}"
            )
        for name in system.only or ():
            if name not in [group.name for group in groups]:
                where.wrong(f"{system.name!r} is only for {name!r}, which is not a group")


def _comparisons(
    fields: Fields, systems: list[System], groups: tuple[Group, ...]
) -> tuple[Comparison, ...]:
    names = [system.name for system in systems]
    found: dict[Comparison, None] = {}
    for node in each(fields.values["compare"]) if "compare" in fields else []:
        own = Fields(node, "a comparison", ("system", "against", "groups"))
        own.node_of("system"), own.node_of("against")
        ours, theirs = _known(own, "system", names), _known(own, "against", names)
        where = _known(own, "groups", [group.name for group in groups])
        for one in ours or ():
            for other in theirs or ():
                if one == other:
                    node.wrong(f"{one!r} is compared with itself")
                if Comparison(one, other, where) in found:
                    node.wrong(f"{one!r} against {other!r} stands there already")
                found[Comparison(one, other, where)] = None
    return tuple(found)


def _check_depths(specification: Specification, root: Node) -> None:
    for system in specification.systems:
        if system.rerank and system.depth > specification.search_depth:
            Node(None, system.line, root.path).wrong(
                f"{system.name!r} reranks {system.depth} candidates, but a search finds "
                f"{specification.search_depth}; raise 'search_depth'"
            )


def _check_chosen(specification: Specification, root: Node) -> None:
    for system in specification.systems:
        chosen = system.interpolate is not None and system.interpolate.weight == CHOSEN
        if chosen and specification.development is None:
            Node(None, system.line, root.path).wrong(
                f"{system.name!r} has a weight that is to be chosen: name a 'development' "
                "collection, which is none of those tested"
            )
