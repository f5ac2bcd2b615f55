"""Whether the fields of a dataclass have the types that it declares: JSON may say anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
Part = tuple[Any, Any, str]  # a value, its declared type, and its place


def check_types(value: Any, declared: Any = None, place: str = "") -> None:
    """Refuse a dataclass with a value of another type than declared, in it or in its parts.

    A whole number stands for a float; a truth value for no number.

    Args:
        declared: a type; that of `value` by default.
        place: of the value, for the message.

    Raises:
        TypeError: naming the field.
    """
    declared = type(value) if declared is None else declared
    kind = get_origin(declared) or declared
    if kind in (Union, UnionType):
        _check_union(value, get_args(declared), place)
    elif not _is(value, kind):
        expected = NAMES.get(kind) or f"a {kind.__name__.lower()}"
        raise TypeError(f"{place or 'it'} is {value!r}, where {expected} was expected")
    else:
        for part in _parts(value, declared, place):
            check_types(*part)


def _check_union(value: Any, allowed: tuple[Any, ...], place: str) -> None:
    """The type that fits says nothing, and the last of several what is wrong."""
    for declared in (one for one in allowed if one is not type(None) or value is None):
        try:
            return check_types(value, declared, place)
        except TypeError as error:
            wrong = error
    raise wrong


def _is(value: Any, kind: Any) -> bool:
    """Whether the value itself is of a kind, whatever it is made of."""
    if kind is Any:
        return True
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _parts(value: Any, declared: Any, place: str) -> Iterator[Part]:
    """What a value of that type is made of."""
    kind, of = get_origin(declared), get_args(declared)
    if kind is tuple:
        if of[-1] is not Ellipsis and len(of) != len(value):
            raise TypeError(f"{place} has {len(value)} parts, not {len(of)}")
        types = [of[0]] * len(value) if of[-1] is Ellipsis else of
        yield from ((one, each, place) for one, each in zip(value, types, strict=True))
    elif kind is list:
        yield from ((one, of[0], place) for one in value)
    elif isinstance(kind, type) and issubclass(kind, Mapping):
        for name, one in value.items():
            yield name, of[0], f"a name in {place}"
            yield one, of[1], f"{place}.{name}"
    elif isinstance(declared, type) and is_dataclass(declared):
        for name, each in _hints(declared).items():
            yield getattr(value, name), each, f"{place}.{name}" if place else name


@cache
def _hints(declared: type) -> dict[str, Any]:
    hints = get_type_hints(declared)
    return {one.name: hints[one.name] for one in fields(declared)}
