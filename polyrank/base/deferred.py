"""transformers without what it imports for other work than inference.

When transformers' modelling code is imported, it imports accelerate, SciPy's optimizer and torch's
compiler, for functions that a reranker never calls. Inside `deferred_imports` its modules get a
stand-in for each of these, and what they take from one finds the real thing when it is first used.
Imports by anything else, torch included, are as ever, and a module that is loaded already is never
replaced.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from types import ModuleType
from typing import Any

# transformers takes functions, classes and context managers from these, and uses them later.
DEFERRED = frozenset(
    [
        "accelerate",
        "accelerate.hooks",
        "accelerate.utils",
        "accelerate.utils.modeling",
        "scipy.optimize",
        "torch._dynamo._trace_wrapped_higher_order_op",
    ]
)
_LOCK = RLock()


class Later:
    """A name of a module, which is imported when the name is called, read or tested against."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _real(self) -> Any:
        return getattr(import_module(self._module), self._name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._real()(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __instancecheck__(self, value: object) -> bool:
        # Nothing is of a class whose module was never loaded.
        return self._module in sys.modules and isinstance(value, self._real())


class StandIn(ModuleType):
    """Gives a `Later` for each name of the module that it stands for."""

    def __getattr__(self, name: str) -> Later:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(self.__name__, name)


@contextmanager
def deferred_imports() -> Iterator[None]:
    """Inside, what transformers' modules import of `DEFERRED` is a stand-in."""
    import torch

    with _LOCK:
        importing, disable = builtins.__import__, torch.compiler.disable
        compiler = None if "torch._dynamo" in sys.modules else StandIn("torch._dynamo")
        builtins.__import__ = _deferring(importing)
        if compiler:
            torch.compiler.disable = _disabled_later  # type: ignore[assignment]
            # It says that the compiler need not look into a function, and returns that function.
            compiler.allow_in_graph = lambda fn: fn  # type: ignore[attr-defined]
            torch._dynamo = compiler
        try:
            yield
        finally:
            builtins.__import__, torch.compiler.disable = importing, disable
            if compiler and vars(torch).get("_dynamo") is compiler:
                del torch._dynamo  # torch loads the real one when somebody asks for it


def _deferring(importing: Callable[..., Any]) -> Callable[..., Any]:
    """`__import__` with stand-ins for what transformers' modules take from `DEFERRED`."""

    def import_(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        by = (globals or {}).get("__name__") or ""
        unloaded = name in DEFERRED and name not in sys.modules
        if unloaded and fromlist and by.startswith("transformers."):
            return StandIn(name)
        return importing(name, globals, locals, fromlist, level)

    return import_


def _disabled_later(fn: Any = None, recursive: bool = True, **options: Any) -> Any:
    """`torch.compiler.disable`, which loads the compiler, at the function's first call."""
    if fn is None:
        return functools.partial(_disabled_later, recursive=recursive, **options)
    real: list[Any] = []

    @functools.wraps(fn)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if not real:
            import torch

            real.append(torch.compiler.disable(fn, recursive, **options))
        return real[0](*arguments, **keywords)

    return call
