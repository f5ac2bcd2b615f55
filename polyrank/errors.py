"""Every error a user can meet. Each message says what is wrong and what to do next."""

from __future__ import annotations

from pathlib import Path


class PolyrankError(Exception):
    """The root of all errors that a user can cause and mend."""


class DataError(PolyrankError):
    """A file that cannot be read as what it should be, with the file, the line and the reason."""

    def __init__(self, path: str | Path, line: int | None, reason: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {reason}")
        self.path, self.line, self.reason = str(path), line, reason


class LanguageError(PolyrankError):
    """A language that is unknown, missing, or cannot be identified."""


class ModuleError(PolyrankError):
    """A module that is missing, broken, or made for another base."""


class HubError(PolyrankError):
    """The Hugging Face Hub is unreachable, or refuses, or lacks what was asked for."""


class CompositionError(PolyrankError):
    """Modules that cannot work together as asked."""


class UsageError(PolyrankError):
    """Options or arguments that do not fit together."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a line that says what is kept and how to go on."""


def first_line(error: BaseException) -> str:
    """What an error says in a line: the first of its message, or its kind where it says nothing.

    >>> first_line(ValueError("\\n no such file\\nlook again")), first_line(KeyError())
    ('no such file', 'KeyError()')
    """
    return next(iter(str(error).strip().splitlines()), repr(error))
