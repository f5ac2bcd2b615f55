"""The zoo: the collection of modules, bundled, in folders of `$POLYRANK_ZOO`, or on the Hub.

A module is named `<base>/<role>/<kind>/<name>`, e.g. `e5-small/language/adapter/ky`, or by its
place on the Hugging Face Hub, `owner/repository[/path][@revision]`, or by its folder. The folders
of `$POLYRANK_ZOO` (separated as in PATH) come before what is bundled, and that before what was
pulled.
Listing needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyrank.zoo.find import ZooEntry, cached_entries, find, info, list_modules
from polyrank.zoo.index import stale, write_index
from polyrank.zoo.pull import pull
from polyrank.zoo.push import Publication, plan, push
from polyrank.zoo.remote import RemoteModule, list_remote
from polyrank.zoo.remove import remove
from polyrank.zoo.verify import Verdict, verify

if TYPE_CHECKING:
    from polyrank.zoo.imports.imported import export_module, import_module

__all__ = [
    "Publication",
    "RemoteModule",
    "Verdict",
    "ZooEntry",
    "cached_entries",
    "export_module",
    "find",
    "import_module",
    "info",
    "list_modules",
    "list_remote",
    "plan",
    "pull",
    "push",
    "remove",
    "stale",
    "verify",
    "write_index",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported at its first use (PEP 562)."""
    if name in ("export_module", "import_module"):
        from polyrank.zoo.imports import imported

        return getattr(imported, name)
    raise AttributeError(f"module 'polyrank.zoo' has no attribute {name!r}")
