"""Fully fine-tuned models: a folder, its encoder and its head.

The names of `full_folder` are found here too, when they are first asked for, so that reading this
package imports no torch.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return getattr(import_module("polyrank.modules.full.full_folder"), name)
