"""Options that take one of some names, which the library has as a table or a tuple.

    class Codec(Choice, names=CODECS): ...
    codec: Annotated[Codec, typer.Option(help="How vectors are stored.")] = Codec.fp16

Typer shows the names in the help and refuses others; `codec.value` is the name that was given. A
dash in a name is an underscore in Python: `Codec.residual_2`.
"""

from __future__ import annotations

from enum import Enum, EnumMeta
from typing import TYPE_CHECKING, Any


class _OfNames(EnumMeta):
    """Makes the members of an enum from the class argument `names`."""

    @classmethod
    def __prepare__(  # type: ignore[override]
        metacls, cls: str, bases: tuple[type, ...], **options: Any
    ) -> Any:
        names = options.pop("names", ())
        members: Any = super().__prepare__(cls, bases, **options)
        for name in names:
            members[name.replace("-", "_")] = name
        return members

    def __new__(
        metacls, cls: str, bases: tuple[type, ...], members: Any, /, **options: Any
    ) -> _OfNames:
        options.pop("names", ())
        return super().__new__(metacls, cls, bases, members, **options)

    if TYPE_CHECKING:  # the members are known when it runs

        def __getattr__(cls, name: str) -> Any: ...


class Choice(Enum, metaclass=_OfNames):
    """One of some names."""

    value: str
