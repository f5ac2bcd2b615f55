"""Values out of JSON have the types that a dataclass declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from polyrank.typed_fields import check_types


@dataclass
class Part:
    name: str
    size: int


def part(name: Any, size: Any) -> Part:
    return Part(name, size)


@dataclass
class Whole:
    part: Part
    parts: tuple[Part, ...]
    named: Mapping[str, Part | None]
    rate: float
    words: list[str]
    label: str | None
    pair: tuple[str, int] = ("a", 1)
    on: bool = True
    rest: Any = None


def whole(**changed: Any) -> Whole:
    sound: dict[str, Any] = {
        "part": Part("a", 1),
        "parts": (Part("b", 2),),
        "named": {"c": Part("c", 3), "d": None},
        "rate": 1,
        "words": ["a"],
        "label": None,
        "rest": [object()],
    }
    return Whole(**{**sound, **changed})


def test_what_is_declared_passes():
    check_types(whole())
    check_types(whole(label="x", rate=0.5, parts=(), named={}, on=False))


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"part": part("a", True)}, "part.size is True, where a whole number was expected"),
        ({"part": part(["a"], 1)}, "part.name is .*, where a text was expected"),
        ({"part": None}, "part is None, where a part was expected"),
        ({"parts": [part("b", 2)]}, "parts is .*, where a tuple was expected"),
        ({"parts": (part("b", None),)}, "parts.size is None"),
        ({"named": {"c": part("c", "3")}}, "named.c.size is '3'"),
        ({"named": {"c": 3}}, "named.c is 3"),
        ({"named": {1: None}}, "a name in named is 1"),
        ({"named": []}, "named is"),
        ({"rate": True}, "rate is True"),
        ({"rate": "1"}, "rate is '1', where a number was expected"),
        ({"label": 1}, "label is 1"),
        ({"words": ["a", 2]}, "words is 2"),
        ({"words": ("a",)}, "words is"),
        ({"on": 1}, "on is 1, where true or false was expected"),
        ({"pair": ("a", "b")}, "pair is 'b'"),
        ({"pair": ("a",)}, "pair has 1 parts, not 2"),
    ],
)
def test_anything_else_is_named(changed, named):
    with pytest.raises(TypeError, match=named):
        check_types(whole(**changed))
