"""YAML of which every part knows its line, so that an error can say where it is.

It is read more strictly than YAML 1.1: only `true` and `false` are truth values, so that the
language `no` stays a word; a key that stands twice is refused, and so are tags and merge keys.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from polyrank.collections.files import open_text
from polyrank.errors import DataError, LanguageError, first_line
from polyrank.experiments.specification import slug
from polyrank.languages.tags import normalise

_BOOL, _TIME = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


class _Loader(yaml.SafeLoader):
    """YAML's plain types, with fewer words taken for truth values and none for dates."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag not in (_BOOL, _TIME)]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


@dataclass(frozen=True)
class Node:
    """A part of a YAML file.

    Attributes:
        value: a plain value, a list of nodes, or a mapping from text to nodes.
        line: where it begins, from 1; of a value in a mapping, the line of its key.
        path: of the file.
    """

    value: Any
    line: int
    path: Path

    def wrong(self, reason: str) -> NoReturn:
        """Raise a DataError that points here."""
        raise DataError(self.path, self.line, reason)

    @property
    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value


def read_yaml(path: str | Path) -> Node:
    """The one document of a YAML file.

    Raises:
        DataError: no file, no YAML, a key twice or that is not text, a tag, or a loop of aliases.
    """
    path = Path(path)
    text = _text(path)
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise DataError(path, line, f"no YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise DataError(path, None, f"no YAML: {first_line(error)}") from None
    if root is None:
        raise DataError(path, None, "the file says nothing")
    return _node(root, path, root.start_mark.line + 1, ())


def _text(path: Path) -> str:
    for _ in open_text(path):  # its checks: there, a file, UTF-8, not empty
        pass
    return path.read_text(encoding="utf-8-sig")


def _node(found: yaml.Node, path: Path, line: int, above: tuple[int, ...]) -> Node:
    if id(found) in above:
        raise DataError(path, found.start_mark.line + 1, "an alias that contains itself")
    inside = (*above, id(found))
    if isinstance(found, yaml.MappingNode):
        return Node(_mapping(found, path, inside), line, path)
    if isinstance(found, yaml.SequenceNode):
        return Node(
            [_node(one, path, one.start_mark.line + 1, inside) for one in found.value], line, path
        )
    if found.tag not in _PLAIN:
        raise DataError(path, line, f"the tag or value {found.tag!r} is not read here; write plain")
    try:
        value = _Loader("").construct_object(found)
    except ValueError as error:
        raise DataError(path, line, f"{found.value!r} cannot be read ({error})") from None
    return Node(value, line, path)


def _mapping(found: yaml.MappingNode, path: Path, above: tuple[int, ...]) -> dict[str, Node]:
    made: dict[str, Node] = {}
    for key, value in found.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise DataError(path, line, f"the key {shown!r} is not text; put it in quotes")
        if key.value in made:
            reason = f"the key {key.value!r} stands on line {made[key.value].line} too"
            raise DataError(path, line, reason)
        made[key.value] = _node(value, path, line, above)
    return made


class Fields:
    """A mapping of which every key is asked for by its type.

    Args:
        node: that must be a mapping.
        what: it is, for messages, such as "a collection".
        known: the keys that it may have; any other is refused.
        defaults: for keys that the mapping lacks.
    """

    def __init__(
        self,
        node: Node,
        what: str,
        known: Collection[str],
        defaults: Mapping[str, Node] | None = None,
    ) -> None:
        self.node, self.what = node, what
        if not isinstance(node.value, dict):
            node.wrong(f"{what} is a mapping of names to values, not {_shown(node)}")
        for key, value in node.value.items():
            if key not in known:
                value.wrong(f"{what} has no {key!r}{_nearest(key, known)}")
        self.values: dict[str, Node] = {
            **{key: value for key, value in (defaults or {}).items() if key in known},
            **node.value,
        }

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def node_of(self, key: str) -> Node:
        """The value, which must be there."""
        if key not in self.values:
            self.node.wrong(f"{self.what} needs {key!r}")
        return self.values[key]

    def text(self, key: str, default: str | None = None) -> str | None:
        return text_of(self.values[key], key) if key in self.values else default

    def required(self, key: str) -> str:
        return text_of(self.node_of(key), key)

    def integer(self, key: str, default: int | None = None, least: int = 1) -> int | None:
        return integer_of(self.values[key], key, least) if key in self.values else default

    def flag(self, key: str, default: bool = False) -> bool:
        if key not in self.values:
            return default
        if not isinstance(self.values[key].value, bool):
            self.values[key].wrong(f"{key!r} is true or false, not {_shown(self.values[key])}")
        return bool(self.values[key].value)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """One text or a list of them; None where the key is absent."""
        if key not in self.values:
            return None
        return tuple(text_of(one, key) for one in each(self.values[key]))

    def choice(self, key: str, allowed: Collection[str], default: str | None = None) -> str | None:
        value = self.text(key, default)
        if key in self.values and value not in allowed:
            self.values[key].wrong(
                f"{key!r} is {value!r}, but must be one of {', '.join(allowed)}"
                f"{_nearest(str(value), allowed)}"
            )
        return value


def each(node: Node) -> list[Node]:
    """The nodes of a list; the node itself where it is none."""
    if not isinstance(node.value, list):
        return [node]
    if not node.value:
        node.wrong("an empty list")
    return node.value


def text_of(node: Node, key: str) -> str:
    """A node's text, which is not empty."""
    if not isinstance(node.value, str) or not node.value.strip():
        node.wrong(f"{key!r} must be text, not {_shown(node)}")
    return str(node.value).strip()


def language_of(node: Node, key: str) -> str:
    """A node's language tag, in its one spelling."""
    try:
        return normalise(text_of(node, key))
    except LanguageError as error:
        node.wrong(str(error))


def integer_of(node: Node, key: str, least: int = 1) -> int:
    """A node's whole number."""
    if isinstance(node.value, bool) or not isinstance(node.value, int) or node.value < least:
        node.wrong(f"{key!r} must be a whole number of {least} or more, not {_shown(node)}")
    return int(node.value)


def check_names(named: Iterable[tuple[str, Node]]) -> None:
    """Refuse names that stand twice, or that are the same as names of files.

    Raises:
        DataError: at the second of them.
    """
    seen: dict[str, tuple[str, int]] = {}
    for name, node in named:
        if slug(name) in seen:
            other, line = seen[slug(name)]
            if name == other:
                node.wrong(f"{name!r} stands twice, on line {line} too; leave one out")
            node.wrong(
                f"the names {name!r} and {other!r} (line {line}) are the same as names of files; "
                "make them differ in a letter"
            )
        seen[slug(name)] = name, node.line


def _shown(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    return "a list" if isinstance(node.value, list) else repr(node.value)


def _nearest(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; it may have: {', '.join(sorted(known))}"
